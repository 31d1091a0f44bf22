"""Exported files in ONNX Runtime, and what they say of themselves, whatever the task. No PyTorch here."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from util.config import instantiate, require_targets_in
from util.training.task import FIRST_TASK

TASK = "task"  # the property that names the task; graphs from when there was no other lack it


def read_graph(file: Path) -> bytes:
    """The content of ``file``. Raises ValueError when it is missing."""
    if not file.is_file():
        raise ValueError(f"checkpoint {file} not found. Give a file that tools/pytorch2onnx.py wrote.")
    return file.read_bytes()


def open_session(content: bytes, file: Path, device: str = "cpu") -> onnxruntime.InferenceSession:
    """``content`` ready to run; ``file`` names it in errors. Raises ValueError unless it is a graph."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; what it raises is reported here
    options.intra_op_num_threads = _num_threads(os.environ)
    try:
        return onnxruntime.InferenceSession(content, options, providers=_providers(device))
    except Exception as error:  # ONNX Runtime's own classes, one per status code, without a common base
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{file}: ONNX Runtime cannot load it ({reason}). Export it again.") from error


def properties_of(session: onnxruntime.InferenceSession) -> dict[str, str]:
    """What the file says of itself."""
    return session.get_modelmeta().custom_metadata_map


def task_of_graph(file: Path, packages: Collection[str] = ("tasks",)) -> Any:
    """The ``Task`` of an exported file. Raises ValueError for one that is missing or names other code."""
    target = {"_target_": properties_of(open_session(read_graph(file), file)).get(TASK, FIRST_TASK)}
    require_targets_in(target, packages, file)
    return instantiate(target)


def _providers(device: str) -> list:
    """ONNX Runtime's name for ``device``. Raises ValueError where this machine or its build lacks it."""
    kind, _, index = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
        raise ValueError(f"device {device!r} is unknown, expected auto, cpu, cuda or cuda:N.")
    has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if kind == "cpu" or (kind == "auto" and not has_cuda):
        return ["CPUExecutionProvider"]
    if not has_cuda:
        raise ValueError(
            f"device {device!r}: this ONNX Runtime has no CUDA. Install onnxruntime-gpu, or use --device cpu."
        )
    return [("CUDAExecutionProvider", {"device_id": int(index or 0)}), "CPUExecutionProvider"]


def _num_threads(environment: Mapping[str, str]) -> int:
    """What OMP_NUM_THREADS says, as PyTorch reads it; 0, all cores, where it says nothing."""
    text = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(text) if text.isdecimal() else 0

"""One setting of a benchmark: everything is timed in turn, then compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from util.benchmark import timing
from util.benchmark.flops import FlopCount
from util.benchmark.onnx_graphs import OnnxSubject
from util.benchmark.subject import (
    PRECISIONS,
    Forward,
    Setting,
    Subject,
    as_taken,
    random_images,
    run,
)

Times = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Bench:
    """What is timed together, and how."""

    subjects: Sequence[Subject]
    reference: Subject  # what all subjects are compared with
    compiled: Sequence[Forward]  # one per subject, or none
    graphs: Sequence[OnnxSubject]
    size: tuple[int, int]  # height, width
    device: torch.device
    repeats: int
    stopwatch: timing.Stopwatch


@dataclass(frozen=True)
class SettingReport:
    """What was measured in one setting: plain numbers, ready for JSON."""

    subjects: list[dict[str, Any]]
    reference: dict[str, Any]
    graphs: list[dict[str, Any]]  # empty below fp32: a graph has its own precision
    matmul: dict[str, Any]  # a large matrix product in the same rounds


def measure(bench: Bench, setting: Setting) -> SettingReport:
    """Time all of ``bench`` in ``setting``. Raises ValueError where a graph was made for another input."""
    images = random_images(setting, bench.size, bench.device)
    product, product_gflops = timing.matmul_call(bench.device, PRECISIONS[setting.precision])
    calls = {"matmul": product, **_model_calls(bench, setting, images), **_graph_calls(bench, setting)}
    times = timing.time_in_turn(calls, bench.repeats, bench.stopwatch)
    matmul_tflops = product_gflops / float(np.median(times["matmul"]))  # GFLOPs a millisecond
    subjects = []
    for index, subject in enumerate(bench.subjects):
        parts = timing.time_of_parts(
            subject.model, calls[f"model {index}"], repeats=bench.repeats, stopwatch=bench.stopwatch
        )
        rate = _rate(times[f"model {index}"], setting, subject, matmul_tflops)
        subjects.append({**rate, **_ratios(times, index), "parts": _shares(parts, subject.flops)})
    graphs = [
        {**_latency(found, setting), "speed_up": timing.ratio(times["model 0"], found)}
        for name, found in times.items()
        if name.startswith("graph ")
    ]
    reference = _rate(times["reference"], setting, bench.reference, matmul_tflops)
    return SettingReport(subjects, reference, graphs, {**asdict(setting), "tflops": matmul_tflops})


def compile_whole(model: nn.Module, images: Tensor) -> Forward:
    """``model`` compiled for such images. Raises ValueError at a graph break or without a compiler."""
    from torch._dynamo import config
    from torch._dynamo.exc import TorchDynamoException

    config.recompile_limit = 64  # one code for every model of a class in every setting
    compiled = torch.compile(model, fullgraph=True, dynamic=False)
    try:
        run(compiled, images, "fp32")
    except TorchDynamoException as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"--compile: {type(model).__name__} cannot be compiled as one graph "
            f"({type(error).__name__}: {reason}). Leave --compile out."
        ) from error
    return compiled


def _model_calls(bench: Bench, setting: Setting, images: Tensor) -> dict[str, Callable[[], object]]:
    modules: dict[str, tuple[Forward, Tensor]] = {"reference": (bench.reference.model, images)}
    for index, subject in enumerate(bench.subjects):
        taken = as_taken(images, subject.model)
        modules[f"model {index}"] = subject.model, taken
        if subject.backbone is not None:
            modules[f"backbone {index}"] = subject.backbone.model, taken
        if bench.compiled:
            modules[f"compiled {index}"] = bench.compiled[index], taken
    return {name: partial(run, module, taken, setting.precision) for name, (module, taken) in modules.items()}


def _graph_calls(bench: Bench, setting: Setting) -> dict[str, Callable[[], object]]:
    if setting.precision != "fp32":
        return {}
    return {
        f"graph {index}": graph.call(setting.batch_size, bench.size)
        for index, graph in enumerate(bench.graphs)
    }


def _ratios(times: Times, index: int) -> dict[str, Any]:
    whole, backbone, compiled = (times.get(f"{part} {index}") for part in ("model", "backbone", "compiled"))
    assert whole is not None
    return {
        "backbone": None if backbone is None else _percentiles(backbone),
        "ratio_to_backbone": None if backbone is None else timing.ratio(whole, backbone),
        "ratio_to_hrnet_w32": timing.ratio(whole, times["reference"]),
        "ratio_to_first": timing.ratio(whole, times["model 0"]),
        "compiled": None
        if compiled is None
        else {**_percentiles(compiled), "speed_up": timing.ratio(whole, compiled)},
    }


def _shares(parts_ms: Mapping[str, float], flops: FlopCount) -> dict[str, dict[str, float]]:
    return {
        name: {
            "ms": ms,
            "share": ms / sum(parts_ms.values()),
            "gflops": flops.parts[name] / 1e9,  # of one image
            "flops_share": flops.parts[name] / flops.total if flops.total else 0.0,
        }
        for name, ms in parts_ms.items()
    }


def _rate(times: np.ndarray, setting: Setting, subject: Subject, matmul_tflops: float) -> dict[str, Any]:
    latency = _latency(times, setting)
    gflops = subject.flops.total / 1e9 * setting.batch_size
    tflops = gflops / latency["p50_ms"]  # GFLOPs a millisecond are TFLOPs a second
    return {**latency, "tflops": tflops, "share_of_matmul": tflops / matmul_tflops}


def _latency(times: np.ndarray, setting: Setting) -> dict[str, Any]:
    latency = _percentiles(times)
    return {**asdict(setting), **latency, "images_per_second": 1e3 * setting.batch_size / latency["p50_ms"]}


def _percentiles(times: np.ndarray) -> dict[str, float]:
    """Of the whole batch."""
    return {"p50_ms": float(np.percentile(times, 50)), "p95_ms": float(np.percentile(times, 95))}

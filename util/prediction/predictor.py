"""From a file to a model that finds something on images, in PyTorch or in ONNX Runtime.

PyTorch is imported only where a PyTorch model is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.files.image_files import SourceImage
from util.prediction.protocols import Predictor

if TYPE_CHECKING:
    import torch

    from util.training.task import Task


def task_of_file(file: Path, model_config: Path | None = None) -> Task:
    """The task of a checkpoint or of an exported .onnx, or of a file that ``model_config`` describes.

    Raises ValueError for any other file.
    """
    if file.suffix == ".onnx":
        from util.export.session import task_of_graph

        return task_of_graph(file)
    from util.checkpoints.described import task_of_described

    return task_of_described(file, model_config)


def load_predictor(file: Path, device: str = "auto", model_config: Path | None = None) -> Any:
    """The model in ``file``: a checkpoint of main.py, or an .onnx file of tools/pytorch2onnx.py.

    ``model_config``: of weights that main.py did not write. ``device``: auto, cpu, cuda or cuda:N. Raises
    ValueError for a file or device that cannot be used.
    """
    if file.suffix == ".onnx":
        return task_of_file(file).graph_predictor(file, device)
    from util.checkpoints.described import load_described

    loaded = load_described(file, model_config, pick_device(device))
    return loaded.task.predictor(loaded)


def require_one_task(task: Task, files: Sequence[Path], model_config: Path | None = None) -> None:
    """Raise ValueError unless all models of an ensemble are of ``task``, that of the first."""
    for file in files[1:]:
        other = task_of_file(file, model_config)
        if other.name != task.name:
            raise ValueError(
                f"{file}: finds {other.name}, the first checkpoint {task.name}. An ensemble needs models of "
                "one task."
            )


def stream(
    predictor: Predictor, images: Iterable[SourceImage], batch_size: int
) -> Iterator[tuple[SourceImage, Any]]:
    """Each image with what is found on it; never more than ``batch_size`` images in memory."""
    images = iter(images)
    while chunk := list(islice(images, batch_size)):
        yield from zip(chunk, predictor(chunk), strict=True)


def pick_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one. Raises ValueError for a device that this machine lacks."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device {name!r} is unknown, expected auto, cpu, cuda or cuda:N.") from error
    if device.type not in ("cpu", "cuda"):  # PyTorch knows more, which no model here was tried on
        raise ValueError(f"device {name!r} is not supported, expected auto, cpu, cuda or cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices. Use --device cpu."
        )
    return device

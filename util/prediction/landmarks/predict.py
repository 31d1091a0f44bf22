"""From an image as it was read to landmarks in its own pixels: the model's side of inference.

PyTorch is imported only where a PyTorch model is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from datasets.files.image_files import SourceImage
from datasets.landmarks.landmark_set import LandmarkSet
from util.config import instantiate
from util.prediction.landmarks.image_landmarks import (
    ImageLandmarks,
    canvas_sample,
    image_landmarks,
    model_input,
)

if TYPE_CHECKING:
    import torch

    from util.checkpoints.checkpoint import LoadedModel

__all__ = ["ImageLandmarks", "LandmarkPredictor", "Predictor", "load_predictor", "pick_device", "stream"]


class Predictor(Protocol):
    """Anything that finds the landmarks of ``landmark_set`` on images."""

    @property
    def landmark_set(self) -> LandmarkSet: ...

    @property
    def labels(self) -> str:
        """Which annotations the model learnt from."""
        ...

    @property
    def file(self) -> Path: ...

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        """Landmarks of each image, in order. Raises ValueError when a prediction is not finite."""
        ...


def load_predictor(file: Path, device: str = "auto") -> Predictor:
    """The model in ``file``: a checkpoint of main.py, or an .onnx file of tools/pytorch2onnx.py.

    ``device``: auto, cpu, cuda or cuda:N. Raises ValueError for a file or device that cannot be used.
    """
    if file.suffix == ".onnx":
        from util.export.onnx_model import OnnxPredictor, load_graph

        return OnnxPredictor(load_graph(file, device))
    from util.checkpoints.checkpoint import load_model

    return LandmarkPredictor(load_model(file, pick_device(device)))


def stream(
    predictor: Predictor, images: Iterable[SourceImage], batch_size: int
) -> Iterator[tuple[SourceImage, ImageLandmarks]]:
    """Each image with its landmarks; never more than ``batch_size`` images in memory."""
    images = iter(images)
    while chunk := list(islice(images, batch_size)):
        yield from zip(chunk, predictor(chunk), strict=True)


class LandmarkPredictor:
    """A loaded PyTorch model with the transforms that its config evaluates with."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.landmark_set, self.labels, self.file = loaded.landmark_set, loaded.labels, loaded.file
        self._model = loaded.model
        self._transforms = instantiate(loaded.config.eval_transforms)
        self._device = next(iter(loaded.model.state_dict().values())).device

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        """Landmarks of each image, in order. Raises ValueError when a prediction is not finite."""
        import torch

        samples = [canvas_sample(image, self._transforms) for image in images]
        with torch.inference_mode():
            final = self._model(torch.from_numpy(model_input(samples)).to(self._device)).final
            points, scales = (tensor.double().cpu().numpy() for tensor in (final.points, final.scale))
        return [image_landmarks(*found) for found in zip(samples, points, scales, strict=True)]


def pick_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one. Raises ValueError for a device that this machine lacks."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device {name!r} is unknown, expected auto, cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices. Use --device cpu."
        )
    return device

"""Does an exported graph say what the PyTorch model says?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from datasets.files.image_files import SourceImage
from models.precision import exact_inference
from transforms.augment import EvalTransforms
from util.export.landmarks.graph import Landmarks
from util.export.landmarks.letterbox import RawLandmarks
from util.export.landmarks.onnx_model import OnnxGraph
from util.prediction.landmarks.image_landmarks import canvas_sample, model_input
from util.prediction.landmarks.predict import Predictor
from util.prediction.predictor import stream

LIMIT_PX = 1e-3  # of the model's input; float32 leaves a few 1e-5, and 1e-3 px is 0.0005 mm at 512 pixels
_BATCH_SIZES = (1, 3)
_RAW_SHARES = ((0.5, 0.7), (1.3, 1.3), (2.0, 1.1))  # random images' sides as shares of the canvas's


def verify(graph: OnnxGraph, model: nn.Module, images: Sequence[SourceImage]) -> float:
    """Largest difference of any coordinate of a point or scale, in pixels of the model's input.

    On random images and on ``images``, in batches of two sizes; a raw graph gets images of several sizes.
    Raises ValueError above ``LIMIT_PX``.
    """
    with exact_inference():
        differences = _raw_differences if graph.metadata.raw else _batch_differences
        largest = float(np.max(list(differences(graph, model, images))))  # NaN if any is
    if not largest <= LIMIT_PX:
        raise ValueError(
            f"{graph.file}: ONNX Runtime and PyTorch differ by {largest:.2g} px of the input, expected at "
            f"most {LIMIT_PX:g}. Nothing is written. Try another --opset, or another onnxruntime."
        )
    return largest


def _batch_differences(graph: OnnxGraph, model: nn.Module, images: Sequence[SourceImage]) -> Iterable[float]:
    height, width = graph.metadata.size
    random = torch.rand(max(_BATCH_SIZES), 1, height, width, generator=torch.Generator().manual_seed(0))
    samples = [canvas_sample(image, EvalTransforms(graph.metadata.size)) for image in images]
    real = [torch.from_numpy(model_input(samples))] if samples else []
    for inputs in (random, *real):
        for size in _BATCH_SIZES:
            for batch in inputs.split(size):
                yield _largest(graph(batch.numpy()), Landmarks(model)(batch), np.array([width, height]))


def _raw_differences(graph: OnnxGraph, model: nn.Module, images: Sequence[SourceImage]) -> Iterable[float]:
    size = np.array(graph.metadata.size)
    rng = np.random.default_rng(0)
    random = [rng.integers(0, 256, np.ceil(share * size).astype(int), np.uint8) for share in _RAW_SHARES]
    expected = RawLandmarks(Landmarks(model), graph.metadata.size)
    for image in (*random, *(image.image for image in images)):
        zoom = float((size / image.shape).min())  # canvas pixels per pixel of the image
        yield _largest(graph.locate(image), expected(torch.from_numpy(image)), zoom)


def _largest(found: tuple[np.ndarray, ...], expected: tuple[Tensor, ...], unit: np.ndarray | float) -> float:
    """Largest absolute difference times ``unit``; NaN where either is."""
    pairs = zip(found, expected, strict=True)
    return float(np.max([np.abs((one - other.numpy()) * unit).max() for one, other in pairs]))


@dataclass(frozen=True)
class Displacement:
    """How far landmarks move when one predictor takes the place of another."""

    px: np.ndarray  # (N, K) pixels of the images
    lengths: np.ndarray  # (N, K) in ``unit``; NaN where the spacing is unknown
    unit: str

    def __str__(self) -> str:
        lengths = f", mean {self.lengths.mean():.4f}, largest {self.lengths.max():.4f} {self.unit}"
        return (
            f"mean {self.px.mean():.4f} px, largest {self.px.max():.4f} px of the image"
            f"{lengths if np.isfinite(self.lengths).all() else ''} ({len(self.px)} images)"
        )


def displacement(
    reference: Predictor, predictor: Predictor, images: Sequence[SourceImage], unit: str
) -> Displacement:
    """Distances between the landmarks of two predictors on the same N images of a spacing in ``unit``."""
    before, after = (
        np.stack([found.points for _, found in stream(one, images, 4)]) for one in (reference, predictor)
    )
    spacing = np.stack([image.spacing for image in images])[:, None]  # (N, 1, 2)
    moved = after - before  # (N, K, 2)
    lengths = np.linalg.norm(moved * spacing, axis=-1)
    return Displacement(np.linalg.norm(moved, axis=-1), lengths, unit)

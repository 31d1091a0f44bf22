"""What inference gives for one image, and the way there and back that every kind of model shares.

Plain numpy: a model that runs without PyTorch comes through here too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from datasets.files.image_files import SourceImage
from models.landmarks.uncertainty import expected_radial_error
from transforms.geometry import square_side, warp_points
from transforms.sample import Sample


@dataclass(frozen=True)
class ImageLandmarks:
    """The landmarks that a model finds on one image."""

    points: np.ndarray  # (K, 2) float64, source pixels, continuous
    uncertainty_px: np.ndarray  # (K,) float64, predicted root-mean-square radial error in source pixels
    uncertainty_mm: np.ndarray  # (K,) float64; NaN where the spacing is unknown
    pose: str = "as-is"  # how the picture lies in its file (transforms.poses)
    plausible: bool | None = (
        None  # None where the model has no limits (util.prediction.landmarks.plausibility)
    )
    plausible_reason: str | None = None  # why not


Transforms = Callable[[Sample, np.random.Generator], Sample]


def canvas_sample(image: SourceImage, transforms: Transforms) -> Sample:
    """``image`` as the model is to see it, without landmarks; ``to_source`` leads back."""
    sample = Sample(
        image=image.image,
        spacing=image.spacing,
        to_source=np.eye(3),
        case=image.file.name if image.slice is None else f"{image.file.name} slice {image.slice}",
    )
    return transforms(sample, np.random.default_rng(0))


def model_input(samples: Sequence[Sample]) -> np.ndarray:
    """(B, 1, H, W) float32 in [0, 1] from B samples on one canvas size, as ``collate`` has it."""
    return np.stack([sample.image for sample in samples])[:, None].astype(np.float32) / np.float32(255.0)


def image_landmarks(sample: Sample, points: np.ndarray, scales: np.ndarray) -> ImageLandmarks:
    """A model's (K, 2) points and Laplace scales, normalised by the canvas, in pixels of the source.

    Raises ValueError unless the points are finite.
    """
    if not np.isfinite(points).all():
        raise ValueError(
            f"{sample.case}: the prediction is not finite. The weights have diverged: use another checkpoint."
        )
    canvas = np.array(sample.size, np.float64)
    zoom = np.sqrt(abs(np.linalg.det(sample.to_source[:2, :2])))  # source pixels per canvas pixel
    uncertainty = zoom * expected_radial_error(scales * canvas)
    return ImageLandmarks(
        points=warp_points(points * canvas, sample.to_source),
        uncertainty_px=uncertainty,
        uncertainty_mm=uncertainty * square_side(sample.spacing),
    )

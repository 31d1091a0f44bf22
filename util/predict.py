"""From an image as it was read to landmarks in its own pixels: the model's side of inference."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch

from datasets.image_files import SourceImage
from datasets.sample import Batch, Sample, collate
from models.prediction import Prediction, uncertainty_mm
from util.checkpoint import LoadedModel
from util.config import instantiate


@dataclass(frozen=True)
class ImageLandmarks:
    """The landmarks that a model finds on one image."""

    points: np.ndarray  # (K, 2) float64, source pixels, continuous
    uncertainty_px: np.ndarray  # (K,) float64, predicted root-mean-square radial error in source pixels
    uncertainty_mm: np.ndarray  # (K,) float64; NaN where the spacing is unknown


class LandmarkPredictor:
    """A loaded model with the transforms that its config evaluates with."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._model = loaded.model
        self._transforms = instantiate(loaded.config.eval_transforms)
        self._num_landmarks = len(loaded.landmark_set)
        self._device = next(iter(loaded.model.state_dict().values())).device

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        """Landmarks of each image, in order. Raises ValueError when a prediction is not finite."""
        batch = collate([self._sample(image) for image in images]).to(self._device)
        with torch.inference_mode():
            prediction: Prediction = self._model(batch.images).final
        return _image_landmarks(prediction, batch)

    def stream(
        self, images: Iterable[SourceImage], batch_size: int
    ) -> Iterator[tuple[SourceImage, ImageLandmarks]]:
        """Each image with its landmarks; never more than ``batch_size`` images in memory."""
        images = iter(images)
        while chunk := list(islice(images, batch_size)):
            yield from zip(chunk, self(chunk), strict=True)

    def _sample(self, image: SourceImage) -> Sample:
        sample = Sample(
            image=image.image,
            points=np.full((self._num_landmarks, 2), np.nan),
            spacing=image.spacing,
            to_source=np.eye(3),
            case=image.file.name if image.slice is None else f"{image.file.name} slice {image.slice}",
        )
        return self._transforms(sample, np.random.default_rng(0))


def pick_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one. Raises ValueError for a device that this machine lacks."""
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


def _image_landmarks(prediction: Prediction, batch: Batch) -> list[ImageLandmarks]:
    points = batch.to_source_pixels(prediction.points).cpu().numpy()  # (B, K, 2)
    pixel_batch = replace(batch, spacing=torch.ones_like(batch.spacing))  # one "mm" per source pixel
    pixels = uncertainty_mm(prediction, pixel_batch.mm_per_unit).double().cpu().numpy()  # (B, K)
    millimetres = uncertainty_mm(prediction, batch.mm_per_unit).double().cpu().numpy()
    for case, found in zip(batch.cases, points, strict=True):
        if not np.isfinite(found).all():
            raise ValueError(
                f"{case}: the prediction is not finite. The weights have diverged: use another checkpoint."
            )
    return [ImageLandmarks(*arrays) for arrays in zip(points, pixels, millimetres, strict=True)]

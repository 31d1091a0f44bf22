"""From an image as it was read to landmarks in its own pixels: the model's side of inference.

PyTorch is imported only where a PyTorch model is asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.files.image_files import SourceImage
from datasets.landmarks.landmark_set import LandmarkSet
from util.config import instantiate
from util.prediction.landmarks.answers import LandmarkAnswers
from util.prediction.landmarks.image_landmarks import (
    ImageLandmarks,
    canvas_sample,
    image_landmarks,
    model_input,
)

if TYPE_CHECKING:
    from util.checkpoints.checkpoint import LoadedModel

__all__ = ["ImageLandmarks", "LandmarkPredictor", "Predictor"]


class Predictor(ABC):
    """Anything that finds the landmarks of ``landmark_set`` on images."""

    def __init__(
        self,
        landmark_set: LandmarkSet,
        labels: str,
        file: Path,
        landmark_shapes: Mapping[str, Any] | None = None,
    ) -> None:
        """``labels``: which annotations the model learnt from; ``file``: where it comes from;
        ``landmark_shapes``: which way their readers are unsure, as plain data, where that is known.
        """
        self.landmark_set, self.labels, self.file = landmark_set, labels, file
        self.landmark_shapes = landmark_shapes
        self.answers = LandmarkAnswers(landmark_set, labels, landmark_shapes=landmark_shapes)

    @abstractmethod
    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        """Landmarks of each image, in order. Raises ValueError when a prediction is not finite."""


class LandmarkPredictor(Predictor):
    """A loaded PyTorch model with the transforms that its config evaluates with."""

    def __init__(self, loaded: LoadedModel) -> None:
        meaning = loaded.meaning
        super().__init__(meaning.landmark_set, meaning.labels, loaded.file, meaning.landmark_shapes)
        self._model = loaded.model
        self._transforms = instantiate(loaded.config.eval_transforms)
        self._device = next(iter(loaded.model.state_dict().values())).device

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        import torch

        from models.precision import exact_inference

        samples = [canvas_sample(image, self._transforms) for image in images]
        with exact_inference():
            final = self._model(torch.from_numpy(model_input(samples)).to(self._device)).final
            points, scales = (tensor.double().cpu().numpy() for tensor in (final.points, final.scale))
        return [image_landmarks(*found) for found in zip(samples, points, scales, strict=True)]

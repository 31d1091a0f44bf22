"""A landmark model small enough for tests of what surrounds a model. Imported by name from configs."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from models.landmarks.landmark_model import LandmarkModel
from models.landmarks.prediction import Prediction, Targets
from models.normalisation import FixedScale
from transforms.geometry import scale, translate, warp_image, warp_points
from transforms.sample import PointSample


@dataclass(frozen=True)
class TinyOutputs:
    predictions: tuple[Prediction, ...]

    @property
    def final(self) -> Prediction:
        return self.predictions[-1]


@dataclass(frozen=True)
class TinyReport:
    total: Tensor
    parts: dict[str, Tensor]


class TinyModel(LandmarkModel):
    """Two convolutions with BatchNorm and dropout: buffers and randomness, as a real model has."""

    def __init__(
        self, *, num_landmarks: int, width: int = 4, dropout: float = 0.2, noise: float = 1e-3
    ) -> None:
        super().__init__(num_landmarks, FixedScale(0.0, 1.0))
        self.noise = noise  # on the predicted points in training, normalised
        self.trunk = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=4, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(width, 2 * num_landmarks)
        self.log_scale = nn.Parameter(torch.full((num_landmarks, 2), -3.0))

    def forward(self, images: Tensor, targets: Targets | None = None) -> TinyOutputs:
        pooled = self.trunk(images).mean((2, 3)).float()
        offsets = self.head(pooled).float().view(len(images), -1, 2)
        points = self.mean_shape + 0.1 * offsets
        if targets is not None:
            points = points + self.noise * torch.randn_like(points)
        return TinyOutputs((self.calibrated(Prediction(points, self.log_scale.expand_as(points))),))


def dropout_of(*, pretrained: bool, weights: str | None) -> float:
    """Stands for a part that would fetch weights."""
    if pretrained or weights:
        raise ValueError("no network here")
    return 0.2


class TinyCriterion(nn.Module):
    """L1 of annotated landmarks; the scale joins at half of the training, as losses of real models do."""

    def __init__(self, *, poison_at: float = 2.0) -> None:
        super().__init__()
        self.poison_at = poison_at  # share of the training from which the loss is NaN

    def forward(self, outputs: TinyOutputs, targets: Targets, progress: float) -> TinyReport:
        prediction = outputs.final
        target = torch.where(targets.present[..., None], targets.points, prediction.points.detach())
        l1 = (prediction.points - target).abs().sum() / (2 * targets.present.sum()).clamp(min=1)
        total = l1 + prediction.log_scale.mean() * 0.01 if progress >= 0.5 else l1
        if progress >= self.poison_at:
            total = total * float("nan")
        return TinyReport(total, {"l1": l1.detach()})


class TinyTransforms:
    """Letterbox to (height, width); with ``shift`` moved at random by up to that many pixels."""

    def __init__(self, *, size: tuple[int, int], shift: float = 0.0) -> None:
        self.size, self.shift = size, shift

    def __call__(self, sample: PointSample, rng: np.random.Generator) -> PointSample:
        height, width = self.size
        zoom = min(width / sample.size[0], height / sample.size[1])
        matrix = translate(*rng.uniform(-self.shift, self.shift, 2)) @ scale(zoom, zoom)
        cv2.setNumThreads(1)
        return PointSample(
            image=warp_image(sample.image, matrix, (width, height)),
            points=warp_points(sample.points, matrix),
            spacing=sample.spacing,
            to_source=sample.to_source @ np.linalg.inv(matrix),
            case=sample.case,
        )

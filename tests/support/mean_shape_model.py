"""A model whose predictions are known beforehand, for tests of what surrounds a model."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from datasets.landmarks.landmark_set import LandmarkSet
from models.landmarks.landmark_model import LandmarkModel
from models.landmarks.prediction import Prediction
from models.normalisation import FixedScale
from util.checkpoints.checkpoint import FORMAT, save_checkpoint

SCALE = 0.01  # Laplace scale of every axis, normalised
_CONFIG = """
model: {{_target_: 'tests.support.mean_shape_model:MeanShapeModel'}}
eval_transforms: {{_target_: 'transforms.augment:EvalTransforms', size: [{height}, {width}]}}
data: {{folder: {folder}}}
"""


@dataclass(frozen=True)
class MeanShapeOutputs:
    predictions: tuple[Prediction, ...]

    @property
    def final(self) -> Prediction:
        return self.predictions[-1]


class MeanShapeModel(LandmarkModel):
    """Answers every image with ``mean_shape`` (K, 2), normalised."""

    def __init__(self, num_landmarks: int) -> None:
        super().__init__(num_landmarks, FixedScale(0.0, 1.0))

    def forward(self, images: Tensor, targets: None = None) -> MeanShapeOutputs:
        points = self.mean_shape.expand(len(images), -1, -1)
        return MeanShapeOutputs((Prediction(points, torch.full_like(points, math.log(SCALE))),))


def write_mean_shape_checkpoint(
    file: Path, mean_shape: Tensor, landmark_set: LandmarkSet, *, size: tuple[int, int], folder: Path
) -> Path:
    """A checkpoint of MeanShapeModel on a canvas of ``size`` (height, width), trained on ``folder``."""
    save_checkpoint(
        file,
        {
            "format": FORMAT,
            "config": _CONFIG.format(height=size[0], width=size[1], folder=folder),
            "landmark_set": landmark_set.to_dict(),
            "labels": "synthetic",
            "weights": {"mean_shape": mean_shape.float()},
            "metrics": {},
            "iteration": 0,
        },
    )
    return file

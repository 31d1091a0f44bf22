"""A landmark model whose points depend on every pixel, for tests of export: small, yet with a backbone."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from datasets.landmarks.landmark_set import LandmarkSet
from models.landmarks.landmark_model import LandmarkModel
from models.landmarks.prediction import Prediction
from models.normalisation import FixedScale
from util.checkpoints.checkpoint import FORMAT, save_checkpoint

_CONFIG = """
model: {{_target_: 'tests.support.centroid_model:CentroidModel'}}
eval_transforms: {{_target_: 'transforms.augment:EvalTransforms', size: [{height}, {width}]}}
data: {{folder: {folder}}}
"""


@dataclass(frozen=True)
class CentroidOutputs:
    final: Prediction


class CentroidModel(LandmarkModel):
    """Landmark k is as far from its mean place as the centre of mass of channel k of two convolutions is from
    the middle; its scale is the channel's spread.
    """

    def __init__(self, num_landmarks: int) -> None:
        super().__init__(num_landmarks, FixedScale(0.4, 0.3))
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 5, 2, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, num_landmarks, 3, 2, 1)
        )

    def forward(self, images: Tensor, targets: None = None) -> CentroidOutputs:
        """(B, 1, H, W) images in [0, 1] -> one Prediction."""
        weights = self.backbone(self.normalise(images)).sigmoid()  # (B, K, h, w)
        weights = weights / weights.sum((-2, -1), keepdim=True)
        x, y = (weights.sum(axis) for axis in (-2, -1))  # (B, K, w), (B, K, h)
        moments = [_moments(share) for share in (x, y)]
        points = torch.stack([mean for mean, _ in moments], -1) + self.mean_shape - 0.5
        spread = torch.stack([spread for _, spread in moments], -1)
        return CentroidOutputs(self.calibrated(Prediction(points, spread)))


def _moments(share: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log standard deviation of the normalised coordinate under ``share`` (B, K, n)."""
    place = (torch.arange(share.shape[-1]) + 0.5) / share.shape[-1]
    mean = (share * place).sum(-1)
    return mean, 0.5 * ((share * place.square()).sum(-1) - mean.square()).log()


def centroid_model(num_landmarks: int) -> CentroidModel:
    """Seeded and in evaluation mode."""
    torch.manual_seed(0)
    return CentroidModel(num_landmarks).eval()


def write_centroid_checkpoint(
    file: Path, landmark_set: LandmarkSet, *, size: tuple[int, int], folder: Path
) -> Path:
    """A checkpoint of ``centroid_model`` on a canvas of ``size`` (height, width), trained on ``folder``."""
    checkpoint = {
        "format": FORMAT,
        "config": _CONFIG.format(height=size[0], width=size[1], folder=folder),
        "landmark_set": landmark_set.to_dict(),
        "labels": "synthetic",
        "weights": centroid_model(len(landmark_set)).state_dict(),
        "metrics": {},
        "iteration": 0,
    }
    save_checkpoint(file, checkpoint)
    return file

"""Plain global regression: from pooled features straight to coordinates."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.backbone import TimmBackbone
from models.landmarks.landmark_model import LandmarkModel
from models.landmarks.losses import l1_mm, laplace_nll
from models.landmarks.prediction import Prediction, Targets
from models.loss_report import LossReport
from models.normalisation import Normalisation
from models.precision import full_precision

_STEP = 0.1  # of the canvas: what an output of 1 moves a landmark by
_FIRST_LOG_SCALE = -3.5  # about 3 % of the canvas


@dataclass(frozen=True)
class RegressionOutputs:
    final: Prediction


class RegressionNet(LandmarkModel):
    """Global average pooling and one linear layer; every landmark starts at the mean shape."""

    output_tensors = ("head.weight", "head.bias")

    def __init__(
        self, *, num_landmarks: int, backbone: TimmBackbone, normalise: Normalisation | None = None
    ) -> None:
        super().__init__(num_landmarks, normalise)
        self.backbone = backbone
        self.head = nn.Linear(backbone.channels[-1], 4 * num_landmarks)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor, targets: Targets | None = None) -> RegressionOutputs:
        """(B, 1, H, W) images in [0, 1] -> landmarks and their scales."""
        coarse = self.backbone(self.normalise(images))[-1]
        with full_precision(images):
            outputs = self.head(coarse.float().mean((-2, -1))).unflatten(-1, (self.num_landmarks, 4))
            step, log_scale = outputs.chunk(2, -1)  # (B, K, 2) each
            prediction = Prediction(self.mean_shape + _STEP * step, _FIRST_LOG_SCALE + log_scale)
            return RegressionOutputs(self.calibrated(prediction))


class RegressionCriterion(nn.Module):
    """Distance in mm and, after ``likelihood_start`` of the training, the Laplace likelihood."""

    def __init__(
        self, *, l1_weight: float = 1.0, likelihood_weight: float = 1.0, likelihood_start: float = 0.07
    ) -> None:
        super().__init__()
        self.l1_weight, self.likelihood_weight = l1_weight, likelihood_weight
        self.likelihood_start = likelihood_start

    def forward(self, outputs: RegressionOutputs, targets: Targets, progress: float) -> LossReport:
        """``progress``: share of the training that is done, in [0, 1]."""
        l1 = self.l1_weight * l1_mm(outputs.final, targets)
        likelihood = self.likelihood_weight * laplace_nll(outputs.final, targets)
        parts = {"l1": l1, "nll": likelihood * float(progress >= self.likelihood_start)}
        return LossReport(
            torch.stack(list(parts.values())).sum(), {name: value.detach() for name, value in parts.items()}
        )

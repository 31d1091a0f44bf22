"""What the landmark DETR is trained on: a dense heatmap loss and, per stage, a distance and a likelihood."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.landmarks.gaussian import log_place
from models.landmarks.landmark_detr import LandmarkOutputs
from models.landmarks.prediction import Prediction, Targets, mean_annotated
from models.loss_report import LossReport


def l1_mm(prediction: Prediction, targets: Targets) -> Tensor:
    """Mean absolute error per axis of annotated landmarks, in mm; 0 if none is annotated."""
    return mean_annotated(_residual_mm(prediction, targets).sum(-1) / 2.0, targets.present)


def laplace_nll(prediction: Prediction, targets: Targets) -> Tensor:
    """Mean Laplace negative log-likelihood per axis of annotated landmarks, in mm.

    Each axis is modelled as Laplace(mu, b), so a hard landmark may be predicted with a wide b instead of
    dominating the gradient (Kendall & Gal, 2017). The constant log 2 is left out.
    """
    log_scale_mm = prediction.log_scale + targets.mm_per_unit[:, None].log()
    nll = _residual_mm(prediction, targets) * torch.exp(-log_scale_mm) + log_scale_mm
    return mean_annotated(nll.sum(-1) / 2.0, targets.present)


def heatmap_cross_entropy(logits: Tensor, targets: Targets, sigma: float | Tensor) -> Tensor:
    """Mean cross-entropy between each heatmap's softmax and a Gaussian at the landmark, less its minimum.

    logits: (B, K, h, w); sigma in cells, one for all or (B, 1, 1). The target is normalised over the map, so
    the channel is a probability of place; the entropy of the target is subtracted, so a perfect heatmap
    costs 0.
    """
    points = targets.points.masked_fill(~targets.present[..., None], 0.5)
    log_target = log_place(points, (logits.shape[-2], logits.shape[-1]), sigma).flatten(2)  # (B, K, h * w)
    divergence = log_target.exp() * (log_target - logits.flatten(2).log_softmax(-1))
    return mean_annotated(divergence.sum(-1), targets.present)


class LandmarkCriterion(nn.Module):
    """Weighted sum of the losses of all stages, of the denoised stages, and of the heatmaps.

    The likelihood joins after ``likelihood_start`` of the training: from scratch it would first widen its
    scales instead of moving its points.
    """

    def __init__(
        self,
        *,
        heatmap_weight: float = 1.0,
        l1_weight: float = 0.2,
        likelihood_weight: float = 0.2,
        denoising_weight: float = 0.5,
        heatmap_sigma: float = 1.0,
        likelihood_start: float = 0.07,
    ) -> None:
        super().__init__()
        self.heatmap_weight, self.heatmap_sigma = heatmap_weight, heatmap_sigma
        self.l1_weight, self.likelihood_weight = l1_weight, likelihood_weight
        self.denoising_weight, self.likelihood_start = denoising_weight, likelihood_start

    def forward(self, outputs: LandmarkOutputs, targets: Targets, progress: float) -> LossReport:
        """``progress``: share of the training that is done, in [0, 1]."""
        parts = {
            "heatmap": self.heatmap_weight
            * heatmap_cross_entropy(outputs.heatmaps, targets, self.heatmap_sigma)
        }
        parts |= self._stages(outputs.predictions, targets, progress, "")
        denoised = self._stages(outputs.denoised, targets, progress, "denoised_")
        parts |= {name: self.denoising_weight * value for name, value in denoised.items()}
        total = torch.stack(list(parts.values())).sum()
        return LossReport(total, {name: value.detach() for name, value in parts.items()})

    def _stages(
        self, stages: Sequence[Prediction], targets: Targets, progress: float, prefix: str
    ) -> dict[str, Tensor]:
        parts = {}
        for index, stage in enumerate(stages):
            parts[f"{prefix}l1_{index}"] = self.l1_weight * l1_mm(stage, targets)
            likelihood = self.likelihood_weight * laplace_nll(stage, targets)
            parts[f"{prefix}nll_{index}"] = likelihood * float(progress >= self.likelihood_start)
        return parts


def _residual_mm(prediction: Prediction, targets: Targets) -> Tensor:
    points = torch.where(targets.present[..., None], targets.points, prediction.points.detach())
    return (prediction.points - points).abs() * targets.mm_per_unit[:, None]

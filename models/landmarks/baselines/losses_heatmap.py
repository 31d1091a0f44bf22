"""What heatmap models are trained on: the distance of their maps from Gaussians at the landmarks.

Every loss is summed over the cells of a map, so it does not fade with the map's size, and averaged over the
annotated landmarks of the batch. Each says which activation of the codec it belongs to.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.landmarks.baselines.heatmap_codec import GaussianHeatmaps
from models.landmarks.baselines.heatmap_net import HeatmapOutputs
from models.landmarks.losses import heatmap_cross_entropy
from models.landmarks.prediction import Targets, mean_annotated
from models.loss_report import LossReport


class MapLoss(nn.Module):
    """A loss that compares a network's output with its target cell by cell."""

    activation = "linear"

    def forward(self, outputs: Tensor, targets: Targets, codec: GaussianHeatmaps) -> Tensor:
        """(B, K, h, w) network outputs before the activation -> scalar; 0 if nothing is annotated."""
        target = codec.encode(targets, (outputs.shape[-2], outputs.shape[-1]))
        per_landmark = self.cells(outputs, target).sum((-2, -1))  # (B, K)
        return mean_annotated(per_landmark, targets.present)

    def cells(self, outputs: Tensor, target: Tensor) -> Tensor:
        """The loss of each cell; all (B, K, h, w)."""
        raise NotImplementedError


class MeanSquaredError(MapLoss):
    def cells(self, outputs: Tensor, target: Tensor) -> Tensor:
        return (outputs - target).square()


class MeanAbsoluteError(MapLoss):
    def cells(self, outputs: Tensor, target: Tensor) -> Tensor:
        return (outputs - target).abs()


class AdaptiveWing(MapLoss):
    """Wang et al. (2019), with the published constants: logarithmic for small errors, linear above ``theta``.

    The exponent alpha - y lets small errors weigh much on the Gaussian (y near 1) and little on the
    background. ``foreground_weight`` w counts cells on and around the Gaussian 1 + w times (its weighted
    loss map); 0: all alike.
    """

    def __init__(
        self,
        *,
        alpha: float = 2.1,
        omega: float = 14.0,
        epsilon: float = 1.0,
        theta: float = 0.5,
        foreground_weight: float = 10.0,
    ) -> None:
        super().__init__()
        if not alpha > 1 or min(omega, epsilon, theta) <= 0 or foreground_weight < 0:
            raise ValueError(
                f"AdaptiveWing alpha={alpha}, omega={omega}, epsilon={epsilon}, theta={theta}, "
                f"foreground_weight={foreground_weight}: expected alpha above 1, no weight below 0, the "
                "others positive."
            )
        self.alpha, self.omega, self.epsilon, self.theta = alpha, omega, epsilon, theta
        self.foreground_weight = foreground_weight

    def cells(self, outputs: Tensor, target: Tensor) -> Tensor:
        error, power = (outputs - target).abs(), self.alpha - target
        ratio = self.theta / self.epsilon
        slope = self.omega * power * ratio ** (power - 1) / (self.epsilon * (1 + ratio**power))
        shift = self.theta * slope - self.omega * torch.log1p(ratio**power)
        small = self.omega * torch.log1p((error.clamp(max=self.theta) / self.epsilon) ** power)
        loss = torch.where(error < self.theta, small, slope * error - shift)
        return loss * (1 + self.foreground_weight * self._foreground(target))

    def _foreground(self, target: Tensor) -> Tensor:
        """Cells within one cell of where the target is at least 0.2."""
        return (F.max_pool2d(target, 3, stride=1, padding=1) >= 0.2).to(target.dtype)


class PenaltyReducedFocal(MapLoss):
    """Law and Deng (2018), equation 1, as CenterNet uses it (Zhou et al., 2019).

    The cell that holds the landmark is the one positive; the others are negatives whose weight falls with
    the Gaussian, (1 - y) ** ``beta``.
    """

    activation = "sigmoid"

    def __init__(self, *, alpha: float = 2.0, beta: float = 4.0) -> None:
        super().__init__()
        if min(alpha, beta) < 0:
            raise ValueError(f"focal loss alpha={alpha}, beta={beta}: expected neither to be negative.")
        self.alpha, self.beta = alpha, beta

    def cells(self, outputs: Tensor, target: Tensor) -> Tensor:
        found = outputs.sigmoid()
        positive = (target == target.amax((-2, -1), keepdim=True)) & (target > 0)
        hit = -F.logsigmoid(outputs) * (1 - found) ** self.alpha
        miss = -F.logsigmoid(-outputs) * found**self.alpha * (1 - target) ** self.beta
        return torch.where(positive, hit, miss)


class SoftmaxCrossEntropy(nn.Module):
    """Each map's softmax as a probability of place, against the Gaussian, as for the landmark DETR's maps."""

    activation = "softmax"

    def forward(self, outputs: Tensor, targets: Targets, codec: GaussianHeatmaps) -> Tensor:
        """(B, K, h, w) network outputs before the activation -> scalar; 0 if nothing is annotated."""
        return heatmap_cross_entropy(outputs, targets, codec.sigma_cells(targets, outputs.shape[-1]))


class HeatmapCriterion(nn.Module):
    """One of the losses of this file, of the maps that a HeatmapNet gives."""

    def __init__(self, *, loss: MapLoss | SoftmaxCrossEntropy) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: HeatmapOutputs, targets: Targets, progress: float) -> LossReport:
        """``progress`` is not used. Raises ValueError where loss and codec do not belong together."""
        if outputs.codec.activation != self.loss.activation:
            raise ValueError(
                f"{type(self.loss).__name__} is for maps with activation {self.loss.activation!r}, the "
                f"model's codec has {outputs.codec.activation!r}. Set model.codec.activation to that."
            )
        total = self.loss(outputs.heatmaps, targets, outputs.codec)
        return LossReport(total, {"heatmap": total.detach()})

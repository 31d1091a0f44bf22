"""What a landmark model returns, and what it is trained against."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """Landmarks as one stage of a model sees them. Always float32."""

    points: Tensor  # (B, K, 2) normalised by the canvas size
    log_scale: Tensor  # (B, K, 2) log of the Laplace scale b per axis, in normalised units

    @property
    def scale(self) -> Tensor:
        """(B, K, 2) Laplace scale b per axis, normalised units."""
        return self.log_scale.exp()


@dataclass(frozen=True)
class Targets:
    """What the losses compare a prediction with."""

    points: Tensor  # (B, K, 2) normalised; NaN where missing
    present: Tensor  # (B, K) bool
    mm_per_unit: Tensor  # (B, 2) mm per normalised unit along x and y


def uncertainty_mm(prediction: Prediction, mm_per_unit: Tensor) -> Tensor:
    """(B, K) root-mean-square radial error that the predicted Laplace scales stand for, in mm.

    For independent Laplace axes E[r^2] = 2 b_x^2 + 2 b_y^2. ``mm_per_unit``: (B, 2).
    """
    scale_mm = prediction.scale * mm_per_unit[:, None]
    return (2.0 * scale_mm.square().sum(-1)).sqrt()

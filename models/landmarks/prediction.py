"""What a landmark model returns, and what it is trained against."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.landmarks.uncertainty import expected_radial_error


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

    mm_per_unit: (B, 2) mm per normalised unit along x and y.
    """
    return expected_radial_error(prediction.scale * mm_per_unit[:, None])


def log_scale_of(variance: Tensor) -> Tensor:
    """The log of the Laplace scale b that has this variance along an axis, 2 b²."""
    return 0.5 * (variance / 2.0).log()


def mean_annotated(values: Tensor, present: Tensor) -> Tensor:
    """Mean of (B, K) ``values`` over the landmarks that are ``present``; 0 where none is.

    What stands at a missing one, NaN included, reaches neither the mean nor a gradient.
    """
    return torch.where(present, values, 0.0).sum() / present.sum().clamp(min=1)

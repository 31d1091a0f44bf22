"""What an inspection of a model finds, in numbers. Coordinates are normalised by the canvas."""

from dataclasses import dataclass

import numpy as np

from models.landmarks.prediction import Prediction
from models.landmarks.uncertainty import expected_radial_error, standard_deviation


@dataclass(frozen=True)
class SalienceView:
    """What chose the encoder's tokens, per level."""

    levels: tuple[np.ndarray, ...]  # L maps (H_l, W_l) in (0, 1]
    updates: tuple[np.ndarray, ...]  # L maps (H_l, W_l), encoder layers that update the token; 0: not kept


@dataclass(frozen=True)
class SamplingView:
    """Where one decoder layer reads the image, per landmark."""

    references: np.ndarray  # (K, 2) normalised
    points: np.ndarray  # (K, heads, L, P, 2) normalised
    weights: np.ndarray  # (K, heads, L, P); those of a head sum to 1
    after: np.ndarray  # (K, 2) normalised, the points after this layer


@dataclass(frozen=True)
class RoiView:
    """The window that one ROI stage reads around each landmark."""

    centres: np.ndarray  # (K, 2) normalised
    half: np.ndarray  # (2,) normalised half width and half height
    points: np.ndarray  # (K, S, 2) normalised, row by row; S is a square number
    attention: np.ndarray  # (K, S), sums to 1
    after: np.ndarray  # (K, 2) normalised, the points after this stage


@dataclass(frozen=True)
class PathStep:
    """Where the landmarks are after one part of the model."""

    name: str
    points: np.ndarray  # (K, 2) normalised
    scale: np.ndarray | None  # (K, 2) predicted Laplace scale b per axis, normalised; None before any is

    @property
    def deviation(self) -> np.ndarray:
        """(K, 2) predicted standard deviation per axis, normalised; NaN before any is."""
        return np.full_like(self.points, np.nan) if self.scale is None else standard_deviation(self.scale)

    def radial_error(self, size: np.ndarray) -> np.ndarray:
        """(K,) predicted root mean square radial error in pixels of a canvas of ``size`` (width, height).

        NaN before any is predicted.
        """
        none = np.full(len(self.points), np.nan)
        return none if self.scale is None else expected_radial_error(self.scale * size)


@dataclass(frozen=True)
class Inspection:
    """All views of one image. A view that the model has no part for is None or empty, and in ``absent``."""

    prediction: Prediction  # (1, K, 2), the model's own
    path: tuple[PathStep, ...]  # ends at the prediction
    heatmaps: np.ndarray | None  # (K, h, w), each sums to 1: the probability of the landmark's place
    salience: SalienceView | None
    sampling: tuple[SamplingView, ...]  # one a decoder layer
    landmark_attention: np.ndarray | None  # (decoder layers, heads, K, K), rows sum to 1
    roi: tuple[RoiView, ...]  # one a ROI stage
    absent: tuple[str, ...]  # one sentence a view that is not there

"""Does the predicted uncertainty tell the error? Expected against observed radial errors.

A model predicts independent Laplace distributions along x and y. Its uncertainty, one length, is the root
mean square of the radial error that they stand for, and the radius that holds a share of the errors is a
fixed multiple of it.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import root_scalar

SHARES = (0.68, 0.95)
GROSS_MM = 4.0  # an error that would change a diagnosis; in percent of a length, 4 of these
_FLAGGED = 0.05
_MAX_BINS = 10
_LEAST_FACTOR = 1e-3


@dataclass(frozen=True)
class Reliability:
    """Landmarks in groups of equal size by their predicted uncertainty, the surest group first.

    Both lengths are root mean squares of radial errors, so a calibrated model has them equal.
    """

    expected_mm: np.ndarray  # (M,) what the model predicts for each group
    observed_mm: np.ndarray  # (M,) what its errors are
    counts: np.ndarray  # (M,) landmarks
    coverage_percent: dict[str, float]  # of the radius that should hold "68" or "95" percent of the errors
    flagged_percent: float | None  # of the errors over 4 mm among the 5 % most uncertain; None without any

    @property
    def error_percent(self) -> float:
        """Expected normalised calibration error (Levi et al., 2022): the mean over groups of
        |expected - observed| / expected, in percent. 0: calibrated.
        """
        return float(100.0 * np.mean(np.abs(self.expected_mm - self.observed_mm) / self.expected_mm))

    def to_dict(self) -> dict[str, Any]:
        return {
            "error_percent": self.error_percent,
            "expected_mm": self.expected_mm.tolist(),
            "observed_mm": self.observed_mm.tolist(),
            "counts": self.counts.tolist(),
            "coverage_percent": self.coverage_percent,
            "flagged_percent": self.flagged_percent,
        }


def reliability(radial_mm: np.ndarray, uncertainty_mm: np.ndarray, max_bins: int = _MAX_BINS) -> Reliability:
    """Group the annotated landmarks of N images by predicted uncertainty.

    radial_mm: (N, K) observed errors, NaN where missing; uncertainty_mm: (N, K) predicted root mean square
    radial error. Raises ValueError for an uncertainty that is not a positive number.
    """
    present = ~np.isnan(radial_mm)
    predicted, observed = uncertainty_mm[present], radial_mm[present]
    if not (np.isfinite(predicted) & (predicted > 0)).all():
        wrong = predicted[~(np.isfinite(predicted) & (predicted > 0))]
        raise ValueError(
            f"{len(wrong)} predicted uncertainties are no positive number (the first: {wrong[0]}). "
            "The weights have diverged: use an earlier checkpoint."
        )
    groups = np.array_split(np.argsort(predicted, kind="stable"), min(max_bins, len(predicted)))
    return Reliability(
        expected_mm=np.array([_rms(predicted[group]) for group in groups]),
        observed_mm=np.array([_rms(observed[group]) for group in groups]),
        counts=np.array([len(group) for group in groups]),
        coverage_percent=coverage_percent(radial_mm, uncertainty_mm),
        flagged_percent=_flagged_percent(observed, predicted),
    )


@cache
def laplace_radius(share: float) -> float:
    """The radius that holds ``share`` of the radial errors, in units of their root mean square.

    For two independent Laplace axes of equal scale b, whose radial error has root mean square 2 b.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"share {share}: expected a number between 0 and 1, such as 0.95.")
    return root_scalar(lambda radius: _laplace_share(radius) - share, bracket=(0.0, 100.0)).root / 2.0


def coverage(radial_mm: np.ndarray, uncertainty_mm: np.ndarray, share: float) -> float:
    """Share, in [0, 1], of the annotated landmarks that lie in the radius that should hold ``share``."""
    return float(np.mean(_ratios(radial_mm, uncertainty_mm) <= laplace_radius(share)))


def coverage_percent(radial_mm: np.ndarray, uncertainty_mm: np.ndarray) -> dict[str, float]:
    """What the radii of ``SHARES`` hold, by share: "68", "95"; empty where nothing is annotated."""
    if np.isnan(radial_mm).all():
        return {}
    return {
        f"{share:.0%}".rstrip("%"): 100.0 * coverage(radial_mm, uncertainty_mm, share) for share in SHARES
    }


def fit_factor(radial_mm: np.ndarray, uncertainty_mm: np.ndarray) -> float:
    """The factor on all uncertainties with which the radii of ``SHARES`` hold these shares of the errors.

    The geometric mean of what either share asks for; 1 where nothing is annotated.
    """
    ratios = _ratios(radial_mm, uncertainty_mm)
    if not len(ratios):
        return 1.0
    asked = np.quantile(ratios, SHARES) / [laplace_radius(share) for share in SHARES]
    return float(np.exp(np.log(asked.clip(min=_LEAST_FACTOR)).mean()))


def _laplace_share(radius: float) -> float:
    """Probability that two independent Laplace variables of scale 1 lie within ``radius`` of the origin."""

    def density(angle: float) -> float:  # x = radius * sin(angle): smooth at both ends
        x, y = radius * math.sin(angle), radius * math.cos(angle)
        return math.exp(-x) * -math.expm1(-y) * y

    return quad(density, 0.0, math.pi / 2.0)[0]


def _ratios(radial_mm: np.ndarray, uncertainty_mm: np.ndarray) -> np.ndarray:
    """Errors of the annotated landmarks in units of their uncertainty."""
    present = ~np.isnan(radial_mm)
    return radial_mm[present] / uncertainty_mm[present]


def _flagged_percent(observed: np.ndarray, predicted: np.ndarray) -> float | None:
    gross = observed > GROSS_MM
    doubtful = np.argsort(-predicted, kind="stable")[: math.ceil(_FLAGGED * len(gross))]
    return float(100.0 * gross[doubtful].sum() / gross.sum()) if gross.any() else None


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))

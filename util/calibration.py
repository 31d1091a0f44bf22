"""Does the predicted uncertainty tell the error? Expected against observed radial errors."""

from dataclasses import dataclass
from typing import Any

import numpy as np

_MAX_BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Landmarks in groups of equal size by their predicted uncertainty, the surest group first.

    Both lengths are root mean squares of radial errors, so a calibrated model has them equal.
    """

    expected_mm: np.ndarray  # (M,) what the model predicts for each group
    observed_mm: np.ndarray  # (M,) what its errors are
    counts: np.ndarray  # (M,) landmarks

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
            f"{len(wrong)} predicted uncertainties are no positive number of mm (the first: {wrong[0]}). "
            "The weights have diverged: use an earlier checkpoint."
        )
    groups = np.array_split(np.argsort(predicted, kind="stable"), min(max_bins, len(predicted)))
    return Reliability(
        expected_mm=np.array([_rms(predicted[group]) for group in groups]),
        observed_mm=np.array([_rms(observed[group]) for group in groups]),
        counts=np.array([len(group) for group in groups]),
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))

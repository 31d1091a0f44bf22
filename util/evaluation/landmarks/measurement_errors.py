"""The errors of measurements: how large, whether their uncertainty tells it, and what classes come of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from measurements.analysis import Analysis, Measurement
from measurements.evaluate import measure
from measurements.rates import Agreement, agreement
from measurements.shapes import LandmarkShapes
from measurements.uncertainty import INTERVAL95, sign_doubts, standard_deviations
from util.evaluation.landmarks.metrics import Errors, json_ready, resamples

CHANCES = (0.6, 0.7, 0.8, 0.9, 0.99)  # bounds of the groups of the likeliest class's probability


@dataclass(frozen=True)
class MeasurementErrors:
    """One measurement of N images by a model, or by one reader, against a reader."""

    measurement: Measurement
    found: np.ndarray  # (N,)
    truth: np.ndarray  # (N,)
    sd: np.ndarray  # (N,) standard deviation that goes with ``found``; NaN where nobody said how sure it is
    doubt: np.ndarray  # (N,) chance that the sign of ``found`` is the other one

    @property
    def errors(self) -> np.ndarray:
        """(N,) found less true; NaN where either is undefined."""
        return self.found - self.truth

    def without_offset(self) -> np.ndarray:
        """(N,) from each error the mean over the other images is taken: what no model can know of."""
        known = np.isfinite(self.errors)
        count = known.sum()
        if count < 2:
            return np.full(len(self.errors), np.nan)
        others = (np.nansum(self.errors) - self.errors) / (count - 1)
        return self.errors - others

    def agreement(self) -> Agreement | None:
        """Of the classes; None where the measurement has none."""
        classes = self.measurement.classes
        return None if classes is None else agreement(classes.index(self.truth), classes.index(self.found))

    def chances(self) -> tuple[np.ndarray, np.ndarray]:
        """Chance of the likeliest class of each image, and whether it was right; empty without classes."""
        classes = self.measurement.classes
        if classes is None:
            return np.empty(0), np.empty(0, bool)
        probabilities = classes.probabilities(self.found, self.sd, self.doubt)
        known = np.isfinite(probabilities).all(-1) & np.isfinite(self.truth)
        likeliest = probabilities[known].argmax(-1)
        return probabilities[known].max(-1), likeliest == classes.index(self.truth)[known]

    def to_dict(self, seed: int = 0) -> dict[str, Any]:
        """Every number of the table, JSON-ready."""
        errors = self.errors
        known = errors[np.isfinite(errors)]
        agreed = self.agreement()
        return json_ready(
            {
                "code": self.measurement.code,
                "unit": self.measurement.unit,
                "count": len(known),
                "mean_error": _mean(known),
                "sd_error": float(known.std(ddof=1)) if len(known) > 1 else np.nan,
                "mean_absolute_error": _mean(np.abs(known)),
                "mean_absolute_error_ci95": _interval(np.abs(known), seed),
                "spread": float(np.nanstd(self.truth, ddof=1)) if len(known) > 1 else np.nan,
                "median_sd": float(np.nanmedian(self.sd)) if np.isfinite(self.sd).any() else np.nan,
                "as_labelled": _calibration(errors / self.sd),
                "without_offset": _calibration(self.without_offset() / self.sd),
                "classes": agreed
                and {
                    "accuracy_percent": 100.0 * agreed.accuracy,
                    "success_rate_by_manual_rows_percent": 100.0 * agreed.by_manual,
                    "success_rate_by_the_script_percent": 100.0 * agreed.script_rate(self.measurement.code),
                },
            }
        )


def measurement_errors(
    errors: Errors, analysis: Analysis, landmarks: Mapping[str, int], shapes: LandmarkShapes
) -> list[MeasurementErrors]:
    """Of every measurement that the landmarks allow; ``errors``' uncertainty may be NaN.

    landmarks: name -> index; shapes: of the K landmarks in their order.
    """
    spacing = errors.spacing[:, None]
    points, truth = errors.predicted * spacing, errors.truth * spacing
    found, expected = measure(analysis, points, landmarks), measure(analysis, truth, landmarks)
    covariances = shapes.covariances(points, errors.uncertainty_mm)
    sd, doubts = standard_deviations(found, covariances), sign_doubts(found, covariances)
    return [
        MeasurementErrors(measurement, found.values[:, j], expected.values[:, j], sd[:, j], doubts[:, j])
        for j, measurement in enumerate(found.analysis.measurements)
    ]


def class_reliability(parts: list[MeasurementErrors]) -> list[dict[str, Any]]:
    """Whether a class that is said to have a chance is right as often: groups of all decisions together."""
    chances, right = (
        np.concatenate(arrays) for arrays in zip(*(part.chances() for part in parts), strict=True)
    )
    group = np.searchsorted(CHANCES, chances, side="right")
    return [
        {
            "decisions": int((group == number).sum()),
            "said_percent": 100.0 * float(chances[group == number].mean()),
            "right_percent": 100.0 * float(right[group == number].mean()),
        }
        for number in range(len(CHANCES) + 1)
        if (group == number).any()
    ]


def _calibration(z: np.ndarray) -> dict[str, float]:
    """Errors in their own standard deviations: rms 1, 68.3 and 95 % within 1 and 1.96 would be right."""
    known = np.abs(z[np.isfinite(z)])
    if not len(known):
        return {"rms_z": np.nan, "within_1_percent": np.nan, "within_95_percent": np.nan}
    return {
        "rms_z": float(np.sqrt(np.mean(known**2))),
        "within_1_percent": 100.0 * float((known <= 1.0).mean()),
        "within_95_percent": 100.0 * float((known <= INTERVAL95).mean()),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def _interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Bootstrap 95 % interval of the mean over images."""
    if not len(values):
        return np.nan, np.nan
    draws = resamples(len(values), seed)
    low, high = np.percentile(draws @ values / draws.sum(1), (2.5, 97.5))
    return float(low), float(high)

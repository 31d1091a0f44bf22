"""Which landmarks decide: the chance of a wrong class or of the wrong side of a norm, by landmark.

The chance that a value lies on the other side of its nearest limit, times a landmark's share of the variance.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import erfc

from measurements.analysis import Measurement
from measurements.evaluate import measure
from measurements.norm import Patient, choose
from measurements.uncertainty import standard_deviations, variance_parts
from util.prediction.landmarks.measuring import Measurer, scale_known


def effects(measurer: Measurer, images: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(N, M, K) of N image records, as a ``Measurer`` takes them, by its first analysis; 0 where unknown.

    Lengths on an image without a spacing decide nothing, and neither does a norm that may not be applied.
    """
    placed = [measurer.placed(image, str(image.get("file"))) for image in images]
    points = np.stack([points * unit for points, unit, _ in placed])
    covariances = np.concatenate([covariance for _, _, covariance in placed])
    found = measure(measurer.analyses[0], points, measurer.index)
    scale_errors = np.array([measurer.scale_error_of(image) for image in images])
    sd = standard_deviations(found, covariances, scale_errors)  # (N, M)
    measurements = found.analysis.measurements

    def chances(*, known: bool) -> np.ndarray:
        """(N, M) as if the scale were known of all images, or of none."""
        limits = [limits_of(one, measurer.patient, scale_known=known) for one in measurements]
        columns = zip(limits, found.values.T, sd.T, strict=True)
        return np.stack([_other_side(*column) for column in columns], axis=1)

    scales = np.array(
        [scale_known(image) and measurer.of_a_head(one) for image, one in zip(images, points, strict=True)]
    )
    chance = np.where(scales[:, None], chances(known=True), chances(known=False))
    has_mm = np.array([bool(image.get("spacing_mm")) for image in images])
    is_known = has_mm[:, None] | np.array([measurement.unit != "mm" for measurement in measurements])
    parts = variance_parts(found, covariances)  # (N, M, K)
    total = parts.sum(-1, keepdims=True)
    shares = parts / np.where(total > 0, total, 1.0)
    return np.nan_to_num((chance * is_known)[..., None] * shares)


def limits_of(measurement: Measurement, patient: Patient, *, scale_known: bool) -> list[float]:
    """Where a decision changes: between classes, or one SD to either side of a norm that may be applied."""
    if measurement.classes is not None:
        return list(measurement.classes.limits)
    norm = choose(measurement.norms, patient)
    if norm is None or not norm.sd or not norm.applies(measurement.unit, scale_known=scale_known):
        return []
    mean = norm.at(patient)
    return [mean - norm.sd, mean + norm.sd]


def _other_side(limits: Sequence[float], values: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """(N,) chances that the truth lies beyond the limit nearest to each of ``values``; 0 without a limit."""
    if not limits:
        return np.zeros_like(values)
    nearest = np.abs(values[:, None] - np.array(limits)).min(axis=1)
    is_known = np.isfinite(values) & (sd > 0)
    return np.where(is_known, 0.5 * erfc(nearest / np.where(is_known, sd, 1.0) / np.sqrt(2.0)), 0.0)

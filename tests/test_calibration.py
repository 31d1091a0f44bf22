"""Reliability of the uncertainty against numbers worked out by hand."""

import math

import numpy as np
import pytest

from util.calibration import reliability


def test_groups_and_error_by_hand():
    """Sorted by prediction: (1, 1), (7, 7), in mm; observed root mean squares 5 and 7."""
    predicted = np.array([[7.0, 1.0, 2.0], [1.0, 7.0, 9.0]])
    observed = np.array([[1.0, 1.0, np.nan], [7.0, math.sqrt(97), np.nan]])
    groups = reliability(observed, predicted, max_bins=2)
    np.testing.assert_allclose(groups.expected_mm, [1.0, 7.0])
    np.testing.assert_allclose(groups.observed_mm, [5.0, 7.0])
    assert groups.counts.tolist() == [2, 2]
    assert groups.error_percent == pytest.approx(100 * (4 / 1 + 0 / 7) / 2)
    assert groups.to_dict()["error_percent"] == groups.error_percent


def test_a_calibrated_model_is_near_zero_and_a_scaled_one_is_off_by_the_factor():
    rng = np.random.default_rng(0)
    predicted = rng.uniform(0.5, 4.0, (400, 50))
    axes = rng.laplace(scale=predicted[..., None] / 2, size=(400, 50, 2))  # E[r²] = 2 · 2 b² = predicted²
    radial = np.linalg.norm(axes, axis=-1)
    assert reliability(radial, predicted).error_percent < 4.0
    assert reliability(radial, 2.0 * predicted).error_percent == pytest.approx(50.0, abs=3.0)
    assert reliability(radial, 0.5 * predicted).error_percent == pytest.approx(100.0, abs=6.0)


def test_fewer_landmarks_than_groups():
    groups = reliability(np.array([[1.0, np.nan, 3.0]]), np.array([[1.0, 1.0, 2.0]]))
    assert groups.counts.tolist() == [1, 1] and groups.error_percent == pytest.approx(25.0)


@pytest.mark.parametrize("value", [math.nan, 0.0, math.inf])
def test_an_uncertainty_that_is_no_length_is_refused(value):
    with pytest.raises(ValueError, match="1 predicted uncertainties are no positive number"):
        reliability(np.ones((1, 2)), np.array([[1.0, value]]))

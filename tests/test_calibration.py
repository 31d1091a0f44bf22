"""Reliability of the uncertainty against numbers worked out by hand."""

import math

import numpy as np
import pytest

from util.evaluation.landmarks.calibration import coverage, fit_factor, laplace_radius, reliability


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


def laplace_errors(predicted: np.ndarray) -> np.ndarray:
    """Radial errors of a model whose uncertainty is right: E[r²] = 2 · 2 b² = predicted²."""
    axes = np.random.default_rng(1).laplace(scale=predicted[..., None] / 2, size=(*predicted.shape, 2))
    return np.linalg.norm(axes, axis=-1)


@pytest.mark.parametrize("share", [0.3, 0.68, 0.95])
def test_a_radius_holds_its_share_of_laplace_errors(share):
    predicted = np.random.default_rng(0).uniform(0.5, 4.0, (400, 50))
    assert coverage(laplace_errors(predicted), predicted, share) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("share", [0.0, 1.0, 95.0])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=f"share {share}: expected a number between 0 and 1"):
        laplace_radius(share)


def test_the_factor_undoes_what_a_model_is_too_sure_of():
    predicted = np.random.default_rng(0).uniform(0.5, 4.0, (400, 50))
    radial = laplace_errors(predicted)
    radial[::7] = np.nan  # not annotated
    assert fit_factor(radial, predicted / 2.5) == pytest.approx(2.5, rel=0.02)
    assert fit_factor(np.full((1, 2), np.nan), np.ones((1, 2))) == 1.0


def test_flagged_are_the_gross_errors_among_the_most_uncertain():
    """40 predictions: 2 are flagged, one of them with an error over 4 mm; three such errors there are."""
    radial, predicted = np.ones((2, 20)), np.ones((2, 20))
    predicted[0, 3], predicted[1, 5] = 9.0, 8.0
    radial[0, 3] = radial[0, 4] = radial[1, 6] = 4.5
    assert reliability(radial, predicted).flagged_percent == pytest.approx(100 / 3)
    assert reliability(np.ones((2, 20)), predicted).flagged_percent is None

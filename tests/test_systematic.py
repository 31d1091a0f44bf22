"""The constant part of the errors against numbers worked out by hand."""

import numpy as np
import pytest

from util.evaluation.landmarks.metrics import Errors
from util.evaluation.landmarks.systematic import systematic


def make_errors(vectors_mm, spacing=(0.1, 0.2)) -> Errors:
    """(N, K, 2) error vectors in mm; NaN where the landmark is missing."""
    vectors = np.asarray(vectors_mm, np.float64)
    missing = np.isnan(vectors)
    truth = np.where(missing, np.nan, 100.0)
    return Errors(
        cases=tuple(f"case{index}" for index in range(len(vectors))),
        predicted=100.0 + np.nan_to_num(vectors) / spacing,
        truth=truth,
        spacing=np.tile(spacing, (len(vectors), 1)),
        uncertainty_mm=np.ones(vectors.shape[:2]),
    )


def test_an_offset_that_all_images_share_is_found_and_leaves_nothing():
    found = systematic(make_errors(np.tile([[3.0, -4.0], [0.0, 0.5]], (5, 1, 1))))
    np.testing.assert_allclose(found.offset_mm, [[3.0, -4.0], [0.0, 0.5]], atol=1e-12)
    np.testing.assert_allclose(found.radial_mm, 0.0, atol=1e-12)
    assert found.mre_mm == pytest.approx(0.0, abs=1e-12)
    assert found.largest(1) == [0] and found.largest(5) == [0, 1]


def test_an_image_is_measured_against_the_offset_of_the_others():
    found = systematic(make_errors([[[1.0, 0.0]], [[1.0, 0.0]], [[4.0, 4.0]]]))
    np.testing.assert_allclose(found.offset_mm, [[2.0, 4 / 3]])
    # the first against the mean of (1, 0) and (4, 4), (2.5, 2): (-1.5, -2); the third against (1, 0): (3, 4)
    np.testing.assert_allclose(found.radial_mm[:, 0], [2.5, 2.5, 5.0])


def test_chance_is_not_mistaken_for_an_offset():
    errors = make_errors(np.random.default_rng(0).normal(0.0, 1.0, (6, 400, 2)))
    # without the others' mean the variance grows by 1 / (n - 1), so the mean length by sqrt(6 / 5)
    assert systematic(errors).mre_mm == pytest.approx(errors.radial_mm.mean() * np.sqrt(1.2), rel=0.03)


def test_missing_landmarks_count_nowhere_and_one_image_tells_nothing():
    nan = [np.nan, np.nan]
    found = systematic(make_errors([[[1.0, 1.0], [2.0, 0.0], nan], [[1.0, 1.0], nan, nan]]))
    np.testing.assert_allclose(found.offset_mm, [[1.0, 1.0], [2.0, 0.0], nan])
    np.testing.assert_allclose(found.radial_mm, [[0.0, np.nan, np.nan], [0.0, np.nan, np.nan]], atol=1e-12)
    assert found.largest(3) == [1, 0]
    assert np.isnan(systematic(make_errors([[[1.0, 1.0]]])).mre_mm)
    assert systematic(make_errors([[[1.0, 1.0]]])).to_dict()["mre_without_mm"] is None

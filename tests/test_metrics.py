"""Metrics against numbers worked out by hand."""

import json
import math

import numpy as np
import pytest
import torch

from datasets.landmarks.batch import PointBatch
from models.landmarks.prediction import Prediction
from util.evaluation.landmarks.metrics import Errors, LandmarkEvaluator, concatenate, summarise

NAN = math.nan


def make_errors(offsets, spacing=(0.1, 0.1), truth=50.0) -> Errors:
    """Predictions ``offsets`` (N, K, 2) pixels away from a truth that is ``truth`` everywhere it is given."""
    offsets = np.asarray(offsets, np.float64)
    at = np.broadcast_to(np.asarray(truth, np.float64), offsets.shape)
    return Errors(
        cases=tuple(f"case{index}" for index in range(len(offsets))),
        predicted=np.nan_to_num(at) + offsets,
        truth=at.copy(),
        spacing=np.broadcast_to(np.asarray(spacing, np.float64), (len(offsets), 2)).copy(),
        uncertainty_mm=np.ones(offsets.shape[:2]),
    )


def errors_of_mm(millimetres) -> Errors:
    """(N, K) radial errors in mm; NaN for a missing landmark."""
    millimetres = np.asarray(millimetres, np.float64)
    offsets = np.stack([np.nan_to_num(millimetres), np.zeros_like(millimetres)], -1)
    truth = np.where(np.isnan(millimetres), NAN, 0.0)[..., None]
    return make_errors(offsets, spacing=(1.0, 1.0), truth=truth)


def test_radial_error_uses_each_axis_own_spacing():
    errors = make_errors([[[3.0, 4.0]], [[0.0, -10.0]]], spacing=(0.5, 0.25))
    # hypot(3 * 0.5, 4 * 0.25) = hypot(1.5, 1.0); 10 * 0.25
    np.testing.assert_allclose(errors.radial_mm, [[math.sqrt(3.25)], [2.5]])


def test_mean_deviation_median_and_detection_rates():
    summary = summarise(errors_of_mm([[1.0, 2.2], [2.8, 14.0]]))
    assert summary.mre_mm == pytest.approx(5.0)
    assert summary.mre_std_mm == pytest.approx(math.sqrt((16.0 + 7.84 + 4.84 + 81.0) / 4))
    assert summary.median_mm == pytest.approx(2.5)
    assert summary.sdr_percent == {"2.0": 25.0, "2.5": 50.0, "3.0": 75.0, "4.0": 75.0}
    assert summary.outlier_percent == 25.0
    assert (summary.num_images, summary.num_landmarks, summary.count) == (2, 2, 4)
    assert [one.mre_mm for one in summary.per_landmark] == pytest.approx([1.9, 8.1])
    assert [one.sdr_percent["2.0"] for one in summary.per_landmark] == [50.0, 0.0]


def test_an_error_of_exactly_two_millimetres_is_within_two():
    errors = make_errors([[[12.0, 16.0]]], truth=[[[1023.7, 811.3]]])  # hypot(12, 16) = 20 px of 0.1 mm
    assert errors.radial_mm[0, 0] == pytest.approx(2.0, abs=1e-9)
    assert summarise(errors).sdr_percent["2.0"] == 100.0
    assert summarise(errors_of_mm([[2.000001]])).sdr_percent["2.0"] == 0.0


def test_a_missing_landmark_counts_nowhere():
    summary = summarise(errors_of_mm([[1.0, NAN, 3.0], [NAN, NAN, 5.0]]))
    assert summary.count == 3
    assert summary.mre_mm == pytest.approx(3.0)
    assert summary.sdr_percent["2.0"] == pytest.approx(100.0 / 3.0)
    assert [one.count for one in summary.per_landmark] == [1, 0, 2]


def test_a_landmark_missing_everywhere_is_null_in_json():
    summary = summarise(errors_of_mm([[1.0, NAN], [3.0, NAN]]))
    record = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    never = record["per_landmark"][1]
    assert never["count"] == 0
    assert never["mre_mm"] is None and never["sdr_percent"]["2.0"] is None
    assert never["mre_ci95_mm"] == [None, None]
    assert record["mre_mm"] == 2.0 and record["num_landmarks"] == 2


def test_bootstrap_interval_holds_the_mean_and_repeats_for_a_seed():
    errors = errors_of_mm(np.random.default_rng(0).gamma(2.0, 0.7, size=(30, 4)))
    first, again, other = summarise(errors, seed=3), summarise(errors, seed=3), summarise(errors, seed=4)
    low, high = first.mre_ci95_mm
    assert low < first.mre_mm < high
    low, high = first.sdr_ci95_percent["2.0"]
    assert low < first.sdr_percent["2.0"] < high
    assert first == again
    assert first.mre_ci95_mm != other.mre_ci95_mm


def test_bootstrap_draws_images_not_landmarks():
    """Errors that agree within an image carry one image's worth of evidence."""
    per_image = np.random.default_rng(1).gamma(2.0, 0.7, size=(40, 1))
    few, many = summarise(errors_of_mm(per_image)), summarise(errors_of_mm(np.repeat(per_image, 50, 1)))
    assert many.mre_ci95_mm == pytest.approx(few.mre_ci95_mm)
    half_width = (few.mre_ci95_mm[1] - few.mre_ci95_mm[0]) / 2
    assert half_width == pytest.approx(1.96 * per_image.std() / math.sqrt(40), rel=0.15)


@pytest.mark.parametrize("spacing", [(NAN, NAN), (0.0, 0.1), (-0.1, 0.1)])
def test_unknown_spacing_is_refused_by_case(spacing):
    with pytest.raises(ValueError, match=r"case case0: spacing .* expected two positive"):
        make_errors([[[1.0, 1.0]]], spacing=spacing)


def test_a_prediction_that_is_not_finite_is_not_taken_for_a_missing_landmark():
    with pytest.raises(ValueError, match=r"case case1: prediction of landmark \[2\]"):
        make_errors([[[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [NAN, 1.0]]])


def test_nothing_to_measure_is_an_error():
    with pytest.raises(ValueError, match="without one annotated landmark"):
        summarise(errors_of_mm([[NAN, NAN]]))
    with pytest.raises(ValueError, match="no image was evaluated"):
        concatenate([])


def batch_of(points, names, scale=4.0) -> PointBatch:
    """A 200 x 100 (width x height) canvas, ``scale`` source pixels per canvas pixel, shifted by (10, 20)."""
    count = len(names)
    to_source = torch.tensor([[scale, 0.0, 10.0], [0.0, scale, 20.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return PointBatch(
        images=torch.zeros(count, 1, 100, 200),
        points=torch.tensor(points, dtype=torch.float32),
        to_source=to_source.repeat(count, 1, 1),
        spacing=torch.full((count, 2), 0.25, dtype=torch.float64),
        cases=names,
    )


def test_evaluator_measures_in_source_pixels_and_keeps_batch_order():
    batch = batch_of([[[0.5, 0.5], [NAN, NAN]], [[0.25, 0.5], [0.5, 0.25]]], ("a", "b"))
    predicted = torch.tensor([[[0.51, 0.5], [0.1, 0.1]], [[0.25, 0.52], [0.5, 0.25]]])
    evaluator = LandmarkEvaluator()
    evaluator.add(Prediction(predicted, torch.full_like(predicted, math.log(0.01))), batch)
    evaluator.add(
        Prediction(predicted[:1], torch.full_like(predicted[:1], math.log(0.02))),
        batch_of([[[0.51, 0.5], [0.1, 0.1]]], ("c",)),
    )
    errors = evaluator.results()
    assert errors.cases == ("a", "b", "c")
    # 0.01 of 200 px, 0.02 of 100 px: 2 canvas px = 8 source px = 2 mm
    np.testing.assert_allclose(errors.radial_mm, [[2.0, NAN], [2.0, 0.0], [0.0, 0.0]], atol=1e-3)
    np.testing.assert_allclose(errors.truth[0, 0], [0.5 * 200 * 4 + 10, 0.5 * 100 * 4 + 20], atol=1e-3)
    # b = 0.01 is 2 mm along x and 1 mm along y: sqrt(2 * 4 + 2 * 1)
    np.testing.assert_allclose(errors.uncertainty_mm[:2], math.sqrt(10.0), rtol=1e-4)
    np.testing.assert_allclose(errors.uncertainty_mm[2], 2 * math.sqrt(10.0), rtol=1e-4)

"""Heatmap losses against numbers worked out by hand on maps of a few cells."""

import math

import pytest
import torch
from torch import Tensor

from models.landmarks.baselines.heatmap_codec import GaussianHeatmaps
from models.landmarks.baselines.heatmap_net import HeatmapOutputs
from models.landmarks.baselines.losses_heatmap import (
    AdaptiveWing,
    HeatmapCriterion,
    MeanAbsoluteError,
    MeanSquaredError,
    PenaltyReducedFocal,
    SoftmaxCrossEntropy,
)
from models.landmarks.baselines.regression import RegressionCriterion, RegressionOutputs
from models.landmarks.baselines.simcc import SimccCodec, SimccCriterion, SimccOutputs
from models.landmarks.losses import heatmap_cross_entropy
from models.landmarks.prediction import Prediction, Targets

TARGET = torch.tensor([[[[0.2, 1.0, 0.0]]]])
MM = torch.tensor([[12.0, 4.0]])


def cell(loss, output: float, target: float) -> float:
    return loss.cells(torch.tensor([[[[output]]]]), torch.tensor([[[[target]]]])).item()


def test_squared_and_absolute_error_by_hand():
    outputs = torch.tensor([[[[0.5, 0.6, 0.1]]]])
    torch.testing.assert_close(
        MeanSquaredError().cells(outputs, TARGET).flatten(), torch.tensor([0.09, 0.16, 0.01])
    )
    torch.testing.assert_close(
        MeanAbsoluteError().cells(outputs, TARGET).flatten(), torch.tensor([0.3, 0.4, 0.1])
    )


def test_adaptive_wing_by_hand():
    """alpha 2.1, omega 14, epsilon 1, theta 0.5: logarithmic under 0.5, a line above it."""
    loss = AdaptiveWing(foreground_weight=0.0)
    assert cell(loss, 0.7, 1.0) == pytest.approx(14 * math.log(1 + 0.3**1.1), rel=1e-5)
    assert cell(loss, 0.3, 0.0) == pytest.approx(14 * math.log(1 + 0.3**2.1), rel=1e-5)
    for target in (0.0, 1.0):
        power = 2.1 - target
        slope = 14 * (1 / (1 + 0.5**power)) * power * 0.5 ** (power - 1)
        line = slope * 0.9 - (0.5 * slope - 14 * math.log(1 + 0.5**power))
        assert cell(loss, target - 0.9, target) == pytest.approx(line, rel=1e-5)


def test_adaptive_wing_is_smooth_where_its_parts_meet():
    loss = AdaptiveWing(foreground_weight=0.0)
    for target in (0.0, 0.4, 1.0):
        below, at, above = (cell(loss, target + 0.5 + step, target) for step in (-1e-3, 0.0, 1e-3))
        assert below < at < above
        assert (above - at) == pytest.approx(at - below, rel=0.02)  # no kink


def test_adaptive_wing_weighs_the_gaussian_and_a_cell_around_it():
    target = torch.zeros(1, 1, 5, 7)
    target[0, 0, 2, 2] = 0.6
    outputs = target + 0.1
    plain, weighted = (AdaptiveWing(foreground_weight=w).cells(outputs, target) for w in (0.0, 10.0))
    expected = torch.ones(5, 7)
    expected[1:4, 1:4] = 11.0
    torch.testing.assert_close((weighted / plain)[0, 0], expected)


def test_adaptive_wing_has_finite_gradients_where_the_error_is_zero_or_large():
    outputs = torch.tensor([[[[0.0, 1.0, 5.0, 0.5]]]], requires_grad=True)
    target = torch.tensor([[[[0.0, 1.0, 0.0, 1.0]]]])
    AdaptiveWing().cells(outputs, target).sum().backward()
    assert outputs.grad is not None and outputs.grad.isfinite().all()
    assert not outputs.grad[..., :2].any() and (outputs.grad[0, 0, 0, 2:] != 0).all()


def test_focal_loss_by_hand():
    """A positive cell: -(1 - p)² log p; another: -(1 - y)⁴ p² log(1 - p)."""
    found = torch.tensor([[[[0.4, 0.7, 0.1]]]])
    values = PenaltyReducedFocal().cells(found.logit(), TARGET).flatten()
    expected = [
        -(0.8**4) * 0.4**2 * math.log(0.6),
        -(0.3**2) * math.log(0.7),
        -(0.1**2) * math.log(0.9),
    ]
    torch.testing.assert_close(values, torch.tensor(expected))


def test_the_focal_positive_is_the_cell_that_holds_the_landmark():
    codec = GaussianHeatmaps(stride=1, sigma=1.0, activation="sigmoid")
    targets = Targets(torch.tensor([[[5.8 / 12, 1.3 / 4]]]), torch.tensor([[True]]), MM)
    target = codec.encode(targets, (4, 12))
    assert target.max() < 1.0  # the landmark is not on the centre of a cell
    outputs = torch.full_like(target, -20.0)
    losses = PenaltyReducedFocal().cells(outputs, target)[0, 0]
    assert losses[1, 5] == pytest.approx(20.0, rel=1e-4)
    losses[1, 5] = 0.0
    assert losses.max() < 1e-6


def one_landmark_and_a_missing_one() -> Targets:
    points = torch.tensor([[[0.4, 0.6], [math.nan, math.nan]]])
    return Targets(points, torch.tensor([[True, False]]), MM)


LOSSES = {
    "squared": MeanSquaredError(),
    "absolute": MeanAbsoluteError(),
    "wing": AdaptiveWing(),
    "focal": PenaltyReducedFocal(),
    "softmax": SoftmaxCrossEntropy(),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_the_criterion_is_the_mean_over_annotated_landmarks_and_ignores_missing_ones(loss):
    codec = GaussianHeatmaps(stride=1, sigma=1.0, activation=loss.activation)
    outputs = torch.randn(1, 2, 4, 12, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets = one_landmark_and_a_missing_one()
    report = HeatmapCriterion(loss=loss)(HeatmapOutputs(codec.decode(outputs), outputs, codec), targets, 0.5)
    report.total.backward()
    only = Targets(targets.points[:, :1], targets.present[:, :1], MM)
    assert report.total.item() == pytest.approx(loss(outputs[:, :1], only, codec).item(), rel=1e-5)
    assert report.total > 0 and report.parts["heatmap"] == report.total
    assert outputs.grad is not None and outputs.grad.isfinite().all()
    assert outputs.grad[:, 0].any() and not outputs.grad[:, 1].any()
    nothing = Targets(torch.full((1, 2, 2), math.nan), torch.zeros(1, 2, dtype=torch.bool), MM)
    assert loss(outputs, nothing, codec) == 0


def perfect(codec: GaussianHeatmaps, target: Tensor) -> Tensor:
    return target.clamp(min=1e-30).log() if codec.activation == "softmax" else target


@pytest.mark.parametrize("name", ["squared", "absolute", "wing", "softmax"])
def test_a_perfect_map_costs_nothing_and_a_moved_one_something(name):
    loss = LOSSES[name]
    codec = GaussianHeatmaps(stride=1, sigma=1.0, activation=loss.activation)
    targets = Targets(torch.tensor([[[0.4, 0.6]]]), torch.tensor([[True]]), MM)
    outputs = perfect(codec, codec.encode(targets, (8, 12)))
    assert loss(outputs, targets, codec).item() == pytest.approx(0.0, abs=1e-5)
    assert loss(outputs.roll(1, -1), targets, codec) > 0.1


def test_cross_entropy_is_the_one_of_the_landmark_detr_with_sigma_in_cells():
    codec = GaussianHeatmaps(stride=4, sigma=6.0)
    targets = Targets(torch.tensor([[[0.4, 0.6]]]), torch.tensor([[True]]), MM)
    outputs = torch.randn(1, 1, 8, 12, generator=torch.Generator().manual_seed(0))
    assert SoftmaxCrossEntropy()(outputs, targets, codec) == heatmap_cross_entropy(outputs, targets, 1.5)


def test_loss_and_codec_must_belong_together():
    codec = GaussianHeatmaps(activation="sigmoid")
    maps = torch.zeros(1, 2, 4, 12)
    outputs = HeatmapOutputs(codec.decode(maps), maps, codec)
    with pytest.raises(ValueError, match=r"MeanSquaredError is for maps with activation 'linear'.*'sigmoid'"):
        HeatmapCriterion(loss=MeanSquaredError())(outputs, one_landmark_and_a_missing_one(), 0.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [(lambda: AdaptiveWing(alpha=1.0), "alpha=1.0"), (lambda: PenaltyReducedFocal(beta=-1), "beta=-1")],
)
def test_wrong_constants_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_simcc_divergence_by_hand_and_missing_landmarks():
    """Flat scores over n bins cost log n less the label's entropy, on each axis; half of each counts."""
    codec = SimccCodec(bins_per_px=1.0, sigma=0.01)  # a label that is all in one bin
    targets = one_landmark_and_a_missing_one()
    x, y = (torch.zeros(1, 2, bins, requires_grad=True) for bins in (10, 5))
    outputs = SimccOutputs(codec.decode(x, y), x, y, codec)
    moved = Targets(torch.tensor([[[0.45, 0.5], [math.nan] * 2]]), targets.present, MM)
    report = SimccCriterion()(outputs, moved, 0.0)
    assert report.total.item() == pytest.approx((math.log(10) + math.log(5)) / 2, rel=1e-5)
    report.total.backward()
    assert x.grad is not None and x.grad[0, 0].any() and not x.grad[0, 1].any() and x.grad.isfinite().all()


def test_regression_criterion_by_hand():
    """1.2 mm and 0.4 mm off; with b = 1 mm the likelihood is the mean distance, after it has joined."""
    targets = one_landmark_and_a_missing_one()
    points = torch.tensor([[[0.5, 0.7], [0.1, 0.1]]])
    prediction = Prediction(points, -MM.log()[:, None].expand(-1, 2, -1))
    before, after = (RegressionCriterion()(RegressionOutputs(prediction), targets, p) for p in (0.0, 1.0))
    assert before.total.item() == pytest.approx(0.8, rel=1e-4)
    assert after.total.item() == pytest.approx(1.6, rel=1e-4)

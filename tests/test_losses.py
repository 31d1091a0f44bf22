"""Losses against numbers worked out by hand. A canvas of 80 x 100 mm, so the axes weigh differently."""

import math

import pytest
import torch
from torch import Tensor

from models.landmarks.heatmap import HeatmapHead
from models.landmarks.landmark_detr import LandmarkOutputs
from models.landmarks.losses import LandmarkCriterion, heatmap_cross_entropy, l1_mm, laplace_nll
from models.landmarks.prediction import Prediction, Targets
from models.position import cell_centres

MM = torch.tensor([[80.0, 100.0]])


def one_landmark(scale_mm: tuple[float, float] = (1.0, 1.0)) -> tuple[Prediction, Targets]:
    """A prediction that is 0.02 * 80 = 1.6 mm too far right and 0.01 * 100 = 1 mm too high."""
    scale = torch.tensor(scale_mm) / MM
    prediction = Prediction(torch.tensor([[[0.52, 0.49]]]), scale.log()[:, None])
    return prediction, Targets(torch.tensor([[[0.50, 0.50]]]), torch.tensor([[True]]), MM)


def with_missing(prediction: Prediction, targets: Targets) -> tuple[Prediction, Targets]:
    """A second landmark that nobody annotated."""
    missing = torch.full((1, 1, 2), math.nan)
    return (
        Prediction(prediction.points.repeat(1, 2, 1), prediction.log_scale.repeat(1, 2, 1)),
        Targets(torch.cat([targets.points, missing], 1), torch.tensor([[True, False]]), targets.mm_per_unit),
    )


def test_l1_is_the_mean_over_axes_in_mm():
    prediction, targets = one_landmark()
    assert l1_mm(prediction, targets).item() == pytest.approx((1.6 + 1.0) / 2, abs=1e-4)
    assert l1_mm(*with_missing(prediction, targets)).item() == pytest.approx(1.3, abs=1e-4)


def test_laplace_likelihood_by_hand():
    """Mean over axes of |r| / b + log b."""
    prediction, targets = one_landmark((2.0, 0.5))
    expected = ((1.6 / 2.0 + math.log(2.0)) + (1.0 / 0.5 + math.log(0.5))) / 2
    assert laplace_nll(prediction, targets).item() == pytest.approx(expected, abs=1e-4)
    assert laplace_nll(*with_missing(prediction, targets)).item() == pytest.approx(expected, abs=1e-4)


def test_laplace_likelihood_is_best_where_the_scale_is_the_mean_error():
    generator = torch.Generator().manual_seed(0)
    points = 0.5 + 0.01 * torch.randn(1, 500, 2, generator=generator)
    targets = Targets(torch.full((1, 500, 2), 0.5), torch.ones(1, 500, dtype=torch.bool), MM)
    best = (points - 0.5).abs().mean(1, keepdim=True)  # (1, 1, 2)
    log_scale = best.log().clone().requires_grad_()
    nll = laplace_nll(Prediction(points, log_scale.expand(-1, 500, -1)), targets)
    nll.backward()
    assert log_scale.grad is not None and log_scale.grad.abs().max() < 1e-4
    for factor in (0.8, 1.25):
        other = (factor * best).log().expand(-1, 500, -1)
        assert laplace_nll(Prediction(points, other), targets) > nll


def target_logits(points: Tensor, sigma: float, height: int, width: int) -> Tensor:
    cells = torch.tensor([width, height])
    squares = ((points[..., None, :] - cell_centres(height, width, points.device)) * cells).square().sum(-1)
    return (-squares / (2 * sigma**2)).unflatten(-1, (height, width))


def test_heatmap_loss_is_zero_for_its_target_and_positive_otherwise():
    points = 0.1 + 0.8 * torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0))
    targets = Targets(points, torch.ones(3, 4, dtype=torch.bool), MM.expand(3, -1))
    perfect = target_logits(points, 1.0, 24, 16) + 5.0  # a constant changes nothing
    assert heatmap_cross_entropy(perfect, targets, 1.0).item() == pytest.approx(0.0, abs=2e-4)
    for wrong in (perfect.flip(1), perfect.flip(-1), perfect * 0.5, perfect * 2.0, torch.zeros_like(perfect)):
        assert heatmap_cross_entropy(wrong, targets, 1.0) > 0.05


def test_the_target_of_a_large_map_lies_at_the_landmark():
    """Of 512 x 416 cells, which is a canvas of 2048 x 1664 pixels; the target is in the gradient at 0."""
    points = torch.rand(1, 30, 2, generator=torch.Generator().manual_seed(1)) * 0.9 + 0.05
    targets, (height, width) = Targets(points, torch.ones(1, 30, dtype=torch.bool), MM), (512, 416)
    logits = torch.zeros(1, 30, height, width, requires_grad=True)
    heatmap_cross_entropy(logits, targets, 1.0).backward()
    assert logits.grad is not None
    target = 1.0 / (height * width) - 30 * logits.grad[0].double()  # (30, h, w): softmax less the gradient
    x = target.sum(-2) @ (torch.arange(width, dtype=torch.float64) + 0.5)
    y = target.sum(-1) @ (torch.arange(height, dtype=torch.float64) + 0.5)
    error_px = 4.0 * (torch.stack([x, y], -1) - points[0] * torch.tensor([width, height]))
    assert error_px.abs().max() < 2e-3


def test_heatmap_loss_of_a_flat_map_by_hand():
    """A target that is all in one cell: the loss is log of the number of cells."""
    targets = Targets(torch.tensor([[[2.5 / 8, 1.5 / 4]]]), torch.tensor([[True]]), MM)
    flat = heatmap_cross_entropy(torch.zeros(1, 1, 4, 8), targets, 0.1)
    assert flat.item() == pytest.approx(math.log(32), abs=1e-4)


def outputs_of(prediction: Prediction, *, denoised: bool) -> LandmarkOutputs:
    heatmaps = torch.zeros(1, prediction.points.shape[1], 8, 8)
    return LandmarkOutputs((prediction, prediction), (prediction,) * 2 if denoised else (), heatmaps)


def test_the_likelihood_joins_at_likelihood_start():
    prediction, targets = one_landmark((2.0, 0.5))
    criterion = LandmarkCriterion(likelihood_start=0.1)
    outputs = outputs_of(prediction, denoised=True)
    before, after = (criterion(outputs, targets, progress) for progress in (0.0999, 0.1))
    nll = laplace_nll(prediction, targets).item()
    expected = 2 * criterion.likelihood_weight * nll * (1 + criterion.denoising_weight)
    assert (after.total - before.total).item() == pytest.approx(expected, abs=1e-4)
    assert all(value == 0 for name, value in before.parts.items() if "nll" in name)


def test_total_is_the_sum_of_the_parts_and_every_weight_acts_on_its_own():
    prediction, targets = one_landmark()
    names = ("heatmap_weight", "l1_weight", "likelihood_weight", "denoising_weight")
    outputs = outputs_of(prediction, denoised=True)
    report = LandmarkCriterion()(outputs, targets, 1.0)
    assert report.total.item() == pytest.approx(sum(map(float, report.parts.values())), abs=1e-5)
    assert len(report.parts) == 1 + 2 * 4 and not any(part.requires_grad for part in report.parts.values())
    prefixes = {"heatmap_weight": "heatmap", "l1_weight": "l1_", "likelihood_weight": "nll_"}
    for name in names:
        parts = LandmarkCriterion(**{name: 0.0})(outputs, targets, 1.0).parts
        silent = {key for key, value in parts.items() if value == 0}
        expected = {key for key in parts if prefixes.get(name, "denoised_") in key}
        assert silent == expected


def test_without_denoised_stages_the_rest_is_unchanged():
    prediction, targets = one_landmark()
    criterion = LandmarkCriterion()
    full = criterion(outputs_of(prediction, denoised=True), targets, 1.0).parts
    rest = criterion(outputs_of(prediction, denoised=False), targets, 1.0).parts
    assert rest == {name: value for name, value in full.items() if not name.startswith("denoised_")}


def test_missing_landmarks_and_empty_batches_cost_nothing_and_poison_nothing():
    head = HeatmapHead(4, 2)
    prediction, targets = with_missing(*one_landmark())
    for present in (targets.present, torch.zeros_like(targets.present)):
        points = targets.points.masked_fill(~present[..., None], math.nan)
        leaves = prediction.points.clone().requires_grad_(), prediction.log_scale.clone().requires_grad_()
        stage = Prediction(*leaves)
        outputs = LandmarkOutputs((stage,), (stage,), head(torch.rand(1, 4, 8, 8)))
        total = LandmarkCriterion()(outputs, Targets(points, present, MM), 1.0).total
        total.backward()
        assert total.isfinite() and (present.any() or total == 0)
        for leaf in leaves:
            assert leaf.grad is not None and leaf.grad.isfinite().all()
            assert not leaf.grad[~present].any() and leaf.grad[present].all()
        assert head.classify.weight.grad is not None and head.classify.weight.grad.isfinite().all()

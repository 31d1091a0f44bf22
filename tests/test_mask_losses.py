"""Losses of overlapping masks: by hand, of absent and unknown classes, in float32, as written."""

import math

import pytest
import torch
from torch import Tensor

from models.masks.losses import MaskCriterion
from models.masks.mask_model import MaskOutputs, MaskTargets
from models.masks.overlap_losses import (
    binary_cross_entropy,
    dice,
    focal,
    jaccard,
    lovasz_hinge,
    tversky,
)

COSTS = (binary_cross_entropy, dice, focal, jaccard, lovasz_hinge, tversky)
SURE = 30.0


def masks_of(*classes: list[list[int]]) -> Tensor:
    return torch.tensor([classes], dtype=torch.float32)  # (1, K, H, W)


def outputs(logits: Tensor, *attributes: Tensor) -> MaskOutputs:
    return MaskOutputs(logits, 1, attributes)


def targets(masks: Tensor, known: Tensor | None = None, attributes: Tensor | None = None) -> MaskTargets:
    if known is None:
        known = torch.ones(masks.shape[:2], dtype=torch.bool)
    if attributes is None:
        attributes = torch.zeros(len(masks), 0, dtype=torch.int64)
    return MaskTargets(masks.bool(), known, attributes)


def random_case(classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, 8, 8, generator=generator)
    return logits, (torch.rand(2, classes, 8, 8, generator=generator) > 0.6).float()


def test_overlaps_by_hand() -> None:
    truth = masks_of([[1, 1, 0, 0]] * 2)  # 4 pixels
    logits = SURE * (2 * masks_of([[0, 1, 1, 0]] * 2) - 1)  # 4 pixels, 2 of them right
    assert dice(logits, truth).item() == pytest.approx(1 - 3 / 5)  # (2 + 1) / (2 + 1 + 1 + 1)
    assert jaccard(logits, truth).item() == pytest.approx(1 - 3 / 7)
    larger = SURE * (2 * masks_of([[1, 1, 1, 0]] * 2) - 1)  # all 4 pixels, and 2 wrong ones
    assert tversky(larger, truth, 1.0, 0.0).item() == pytest.approx(1 - 5 / 7)  # alpha: found wrongly
    assert tversky(larger, truth, 0.0, 1.0).item() == pytest.approx(0.0)  # beta: missed
    assert lovasz_hinge(logits / SURE, truth).item() == pytest.approx(2 * (1 - 2 / 6))


def test_cross_entropies_by_hand() -> None:
    logits, truth = torch.full((1, 1, 2, 2), math.log(3.0)), torch.ones(1, 1, 2, 2)  # probability 3/4
    assert binary_cross_entropy(logits, truth).item() == pytest.approx(math.log(4 / 3))
    assert focal(logits, truth).item() == pytest.approx(math.log(4 / 3) / 16)
    assert focal(logits, 1 - truth).item() == pytest.approx(math.log(4.0) * 9 / 16)


@pytest.mark.parametrize("cost", COSTS)
def test_right_costs_nothing_and_a_class_that_is_not_there_costs_what_is_found_of_it(cost) -> None:
    empty, full = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    right = torch.cat([cost(-SURE * full, empty), cost(SURE * full, full)])
    assert right.max() < 1e-6
    wrong = torch.cat([cost(SURE * full, empty), cost(-SURE * full, full)])
    assert wrong.min() > 0.9


@pytest.mark.parametrize("cost", COSTS)
def test_classes_and_images_are_judged_alone(cost) -> None:
    logits, truth = random_case()
    together = cost(logits, truth)
    assert together.shape == (2, 3)
    torch.testing.assert_close(cost(logits[1:, 2:], truth[1:, 2:])[0, 0], together[1, 2])


@pytest.mark.parametrize("cost", COSTS)
def test_every_cost_falls_along_its_gradient_and_stays_finite(cost) -> None:
    logits, truth = random_case()
    truth[0, 0] = 0.0  # an absent class
    for size in (1.0, 1e4):
        leaf = (size * logits).requires_grad_()
        value = cost(leaf, truth).sum()
        value.backward()
        assert value.isfinite() and leaf.grad.isfinite().all()
        if size == 1.0:
            assert cost(leaf.detach() - 0.1 * leaf.grad, truth).sum() < value


def test_the_lovasz_hinge_is_the_jaccard_error_at_the_corners() -> None:
    """Of hinge errors that are 0 or 1, the convex extension is the error itself (Berman et al., 2018)."""
    _, truth = random_case(1)
    wrong = torch.zeros_like(truth)
    wrong[:, :, 2:5, 1:7] = 1.0  # these pixels have a hinge error of 1: their logit is 0
    logits = torch.where(wrong.bool(), torch.zeros_like(truth), 2 * truth - 1)
    missed = (truth * wrong).flatten(2).sum(-1)
    union = truth.flatten(2).sum(-1) + ((1 - truth) * wrong).flatten(2).sum(-1)
    intersection = truth.flatten(2).sum(-1) - missed
    torch.testing.assert_close(lovasz_hinge(logits, truth), 1 - intersection / union)


def test_a_criterion_charges_what_it_names() -> None:
    logits, truth = random_case()
    report = MaskCriterion({"bce": 0.5, "lovasz": 2.0})(outputs(logits), targets(truth), 0.0)
    assert report.parts.keys() == {"bce", "lovasz"}
    assert report.parts["bce"] == pytest.approx(0.5 * binary_cross_entropy(logits, truth).mean().item())
    assert report.parts["lovasz"] == pytest.approx(2.0 * lovasz_hinge(logits, truth).mean().item())
    assert report.total.item() == pytest.approx(sum(part.item() for part in report.parts.values()))


def test_options_reach_their_cost() -> None:
    logits, truth = random_case()
    found = MaskCriterion(
        {"tversky": 1.0, "focal": 1.0}, tversky_alpha=0.9, tversky_beta=0.1, focal_gamma=0.0
    )
    parts = found(outputs(logits), targets(truth), 0.0).parts
    assert parts["tversky"].item() == pytest.approx(tversky(logits, truth, 0.9, 0.1).mean().item())
    assert parts["focal"].item() == pytest.approx(binary_cross_entropy(logits, truth).mean().item())


def test_an_unknown_class_costs_nothing_and_gives_no_gradient() -> None:
    logits, truth = random_case()
    known = torch.ones(2, 3, dtype=torch.bool)
    known[1, 2] = False
    criterion = MaskCriterion({"bce": 1.0, "dice": 1.0})
    values = []
    for filling in (0.0, 1.0):
        truth[1, 2] = filling
        leaf = logits.clone().requires_grad_()
        total = criterion(outputs(leaf), targets(truth, known), 0.0).total
        total.backward()
        values.append(total.item())
        assert (leaf.grad[1, 2] == 0).all() and (leaf.grad[1, 1] != 0).any()
    assert values[0] == values[1]
    nobody = criterion(outputs(logits), targets(truth, torch.zeros_like(known)), 0.0)
    assert nobody.total.item() == 0.0


def test_class_weights_move_attention_and_not_the_size_of_the_loss() -> None:
    logits = torch.zeros(1, 2, 8, 8)
    truth = torch.zeros(1, 2, 8, 8)
    plain = MaskCriterion({"bce": 1.0})(outputs(logits), targets(truth), 0.0).total
    weighted = MaskCriterion({"bce": 1.0}, class_weights=[3.0, 9.0])
    assert weighted(outputs(logits), targets(truth), 0.0).total.item() == pytest.approx(plain.item())
    leaf = logits.clone().requires_grad_()
    weighted(outputs(leaf), targets(truth), 0.0).total.backward()
    assert (leaf.grad[0, 1] / leaf.grad[0, 0]).allclose(torch.tensor(3.0))


def test_attribute_weights_mean_what_they_say() -> None:
    """A batch of one value still feels its weight; an unknown value costs nothing."""
    logits, truth = random_case()
    heads = (torch.tensor([[0.0, 1.0], [5.0, -5.0]]), torch.zeros(2, 3))
    sex = torch.tensor([[1, -1], [-1, -1]])
    plain = MaskCriterion({"bce": 1.0}, attribute_weight=0.2)
    twice = MaskCriterion({"bce": 1.0}, attribute_weight=0.2, attribute_class_weights=[[1.0, 2.0], [1, 1, 1]])
    expected = 0.2 * math.log(1 + math.exp(-1.0))
    for criterion, factor in ((plain, 1.0), (twice, 2.0)):
        parts = criterion(outputs(logits, *heads), targets(truth, attributes=sex), 0.0).parts
        assert parts["attributes"].item() == pytest.approx(factor * expected, rel=1e-5)


def test_heads_that_would_learn_nothing_are_refused() -> None:
    logits, truth = random_case()
    sex = torch.zeros(2, 1, dtype=torch.int64)
    with pytest.raises(ValueError, match="attribute_weight=0: the model's heads"):
        MaskCriterion({"bce": 1.0})(outputs(logits, torch.zeros(2, 2)), targets(truth, attributes=sex), 0.0)


@pytest.mark.parametrize("heads", [0, 1])
def test_an_attribute_weight_that_weighs_nothing_is_refused(heads) -> None:
    """Without heads and attributes it would be passed over; with one of each, weights of two are a slip."""
    logits, truth = random_case()
    criterion = MaskCriterion({"bce": 1.0}, attribute_weight=0.1, attribute_class_weights=[[1, 2], [1, 2]])
    named = "2 lists for 1 attributes" if heads else "0 heads for the 0 attributes"
    values = torch.zeros(2, heads, dtype=torch.int64)
    with pytest.raises(ValueError, match=named):
        criterion(outputs(logits, *[torch.zeros(2, 2)] * heads), targets(truth, attributes=values), 0.0)


def test_losses_are_float32_under_autocast() -> None:
    logits, truth = random_case()
    criterion = MaskCriterion({"bce": 1.0, "dice": 1.0, "lovasz": 1.0})
    expected = criterion(outputs(logits.bfloat16().float()), targets(truth), 0.0).total
    with torch.autocast("cpu", torch.bfloat16):
        total = criterion(outputs(logits.bfloat16()), targets(truth), 0.0).total
    assert total.dtype == torch.float32
    torch.testing.assert_close(total, expected, rtol=1e-6, atol=0)


def test_coarse_maps_are_judged_on_the_canvas() -> None:
    logits = torch.full((1, 1, 2, 2), -SURE)
    logits[..., 0] = SURE
    truth = torch.zeros(1, 1, 8, 8)
    truth[..., :4] = 1.0
    assert MaskCriterion({"dice": 1.0})(outputs(logits), targets(truth), 0.0).total < 0.15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"losses": {"dise": 1.0}}, "did you mean 'dice'"),
        ({"losses": {}}, "at least one"),
        ({"losses": {"dice": 0}}, "a weight above 0"),
        ({"losses": {"dice": "1e-6"}}, "a weight above 0"),
        ({"losses": {"dice": 1.0}, "tversky_alpha": 0.5}, "tversky_alpha=0.5: .* would change nothing"),
        ({"losses": {"bce": 1.0}, "focal_gamma": 1.0}, "focal_gamma=1.0: .* would change nothing"),
        ({"losses": {"focal": 1.0}, "focal_gamma": -1.0}, "focal_gamma=-1.0, expected a number"),
        ({"losses": {"tversky": 1.0}, "tversky_beta": "1e-1"}, "tversky_beta='1e-1', expected a number"),
        ({"losses": {"dice": 1.0}, "attribute_weight": -0.1}, "attribute_weight=-0.1, expected"),
        ({"losses": {"dice": 1.0}, "attribute_class_weights": [[1, 2]]}, "would change nothing"),
        (
            {"losses": {"dice": 1.0}, "attribute_weight": 1.0, "attribute_class_weights": [[1, -2]]},
            r"\[1, -2\], expected numbers of at least 0",
        ),
        ({"losses": {"dice": 1.0}, "class_weights": [0, 0]}, "not all 0"),
        ({"losses": {"dice": 1.0}, "class_weights": [1, 2]}, "2 numbers for 3 classes"),
        ({"losses": {"dice": 1.0}, "attribute_weight": 1.0}, "0 heads for the 1 attributes"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message) -> None:
    logits, truth = random_case()
    with pytest.raises(ValueError, match=message):
        MaskCriterion(**arguments)(
            outputs(logits), targets(truth, attributes=torch.zeros(2, 1, dtype=torch.int64)), 0.0
        )

"""Numbers of masks: against hand computation, a published implementation, and every rule for empty masks."""

import math

import numpy as np
import pytest
import surface_distance

from datasets.masks.raster import fill
from util.evaluation.masks.mask_metrics import mask_numbers
from util.evaluation.masks.surface import surface_distances

MM = np.array([1.0, 1.0])
NOWHERE = np.zeros((20, 30), bool)


def rectangle(left: int, top: int, width: int, height: int) -> np.ndarray:
    mask = NOWHERE.copy()
    mask[top : top + height, left : left + width] = True
    return mask


def random_mask(rng: np.random.Generator) -> np.ndarray:
    """A blob or two, with corners, possibly with a hole or at the border."""
    mask = np.zeros((60, 70), bool)
    for _ in range(rng.integers(1, 4)):
        angles = np.sort(rng.uniform(0.0, 2.0 * np.pi, 9))
        radii = rng.uniform(4.0, 20.0, 9)[:, None]
        outline = rng.uniform(5, 60, 2) + radii * np.stack([np.cos(angles), np.sin(angles)], -1)
        mask ^= fill(outline, (70, 60))
    return mask


def test_overlap_by_hand():
    truth, predicted = rectangle(5, 5, 10, 4), rectangle(9, 5, 10, 4)  # 6 of 10 columns in common
    found = mask_numbers(truth, predicted, NOWHERE, MM)
    assert found.dice == pytest.approx(48 / 80, abs=1e-5)
    assert found.dice_present == 48 / 80
    assert found.iou == pytest.approx(24 / 56, abs=1e-5)
    assert (found.true_area, found.predicted_area) == (40, 40)
    assert (found.missed, found.invented) == (0, 0)
    assert math.isnan(found.dice_overlap), "no pixel has two classes"


def test_overlap_inside_the_zone_alone():
    truth, predicted = rectangle(5, 5, 10, 4), rectangle(9, 5, 10, 4)
    zone = rectangle(7, 0, 4, 20)  # columns 7 to 10: the truth has all four, the prediction two
    assert mask_numbers(truth, predicted, zone, MM).dice_overlap == 2 * 8 / (16 + 8)
    assert mask_numbers(truth, NOWHERE, zone, MM).dice_overlap == 0.0
    assert math.isnan(mask_numbers(truth, predicted, rectangle(20, 0, 3, 3), MM).dice_overlap)


def test_distances_of_a_shifted_line_by_hand():
    """A square against itself moved by 3 pixels of 0.5 mm: its left and right sides are 1.5 mm off."""
    truth, predicted = rectangle(5, 5, 8, 8), rectangle(8, 5, 8, 8)
    found = surface_distances(truth, predicted, np.array([0.5, 0.5]))
    assert found.hausdorff95 == 1.5
    assert found.within(1.5) == 1.0 and found.within(1.49) < 1.0
    across = surface_distances(truth, predicted, np.array([2.0, 0.5]))
    assert across.hausdorff95 == 6.0
    same = surface_distances(truth, truth, MM)
    assert (same.average, same.hausdorff95, same.within(0.0)) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.35, 0.35), (0.2, 0.7)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_distances_agree_with_a_published_implementation(spacing):
    rng = np.random.default_rng(3)
    for _ in range(25):
        truth, predicted = random_mask(rng), random_mask(rng)
        if not (truth.any() and predicted.any()):
            continue
        theirs = surface_distance.compute_surface_distances(truth, predicted, spacing[::-1])  # y, x
        ours = surface_distances(truth, predicted, np.array(spacing))
        to_predicted, to_true = surface_distance.compute_average_surface_distance(theirs)
        lengths = [theirs[f"surfel_areas_{name}"].sum() for name in ("gt", "pred")]
        expected = (to_predicted * lengths[0] + to_true * lengths[1]) / sum(lengths)
        assert ours.average == pytest.approx(expected, rel=1e-9)
        assert ours.hausdorff95 == pytest.approx(surface_distance.compute_robust_hausdorff(theirs, 95))
        for tolerance in (0.51, 1.01):  # no distance is equal to it up to rounding
            expected = surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance)
            assert ours.within(tolerance) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("spacing", "shift", "tolerance"),
    [
        ((0.1, 0.1), (5, 0), 0.5),
        ((0.1, 0.1), (0, 10), 1.0),
        ((0.05, 0.02), (10, 0), 0.5),
        ((0.05, 0.02), (0, 50), 1.0),
        ((0.3, 0.4), (1, 1), 0.5),  # the diagonal of a pixel
        ((0.06, 0.08), (-10, 10), 1.0),
        ((0.35, 0.35), (2, 0), 0.7),
        ((0.35, 0.35), (0, -3), 1.05),
    ],
)
def test_a_distance_of_exactly_the_tolerance_is_within_it(spacing, shift, tolerance):
    """Far from the corner, where coordinates in mm round most; a micrometre less is not enough."""
    truth = np.zeros((2100, 2100), bool)
    truth[1999:2037, 2003:2041] = True
    found = surface_distances(truth, np.roll(truth, shift, (1, 0)), np.array(spacing))
    assert found.to_predicted.max() == pytest.approx(tolerance, abs=1e-9)
    assert found.within(tolerance) == 1.0
    assert found.within(tolerance - 1e-3) < 1.0


def test_half_a_millimetre_and_one_are_within_the_numbers_of_their_names():
    truth, nowhere = np.zeros((2, 60, 60), bool)
    truth[10:40, 10:40] = True
    for pixels, half, one in ((5, 1.0, 1.0), (10, None, 1.0), (11, None, None)):
        found = mask_numbers(truth, np.roll(truth, pixels, 1), nowhere, np.full(2, 0.1))
        for value, expected in ((found.nsd_0_5_mm, half), (found.nsd_1_mm, one)):
            assert value == expected if expected else value < 1.0


def test_distances_of_turned_masks_turn_with_their_spacing():
    rng = np.random.default_rng(5)
    truth, predicted = random_mask(rng), random_mask(rng)
    upright = surface_distances(truth, predicted, np.array([0.2, 0.7]))
    turned = surface_distances(truth.T, predicted.T, np.array([0.7, 0.2]))
    assert upright.average == pytest.approx(turned.average)
    assert upright.hausdorff95 == pytest.approx(turned.hausdorff95)
    wrong = surface_distances(truth, predicted, np.array([0.7, 0.2]))
    assert wrong.average != pytest.approx(upright.average, rel=0.01)


def test_both_masks_empty():
    found = mask_numbers(NOWHERE, NOWHERE, NOWHERE, MM)
    assert (found.dice, found.iou, found.missed, found.invented) == (1.0, 1.0, 0.0, 0.0)
    for name in ("dice_present", "assd", "hd95", "nsd_0_5_mm", "nsd_1_mm", "dice_overlap"):
        assert math.isnan(getattr(found, name)), name


def test_a_pixel_where_nothing_is():
    found = mask_numbers(NOWHERE, rectangle(3, 3, 1, 1), NOWHERE, MM)
    assert found.dice == pytest.approx(1e-4, rel=1e-3), "in effect 0, as the task has it"
    assert found.iou == pytest.approx(1e-4, rel=1e-3)
    assert (found.missed, found.invented) == (0.0, 1.0)
    assert (found.nsd_0_5_mm, found.nsd_1_mm) == (0.0, 0.0)
    for name in ("dice_present", "assd", "hd95", "dice_overlap"):
        assert math.isnan(getattr(found, name)), name


def test_nothing_where_a_structure_is():
    truth = rectangle(3, 3, 5, 5)
    found = mask_numbers(truth, NOWHERE, truth, MM)
    assert found.dice < 1e-5 and found.iou < 1e-5 and found.dice_present == 0.0
    assert (found.missed, found.invented, found.dice_overlap) == (1.0, 0.0, 0.0)
    assert (found.nsd_0_5_mm, found.nsd_1_mm) == (0.0, 0.0)
    assert math.isnan(found.assd) and math.isnan(found.hd95)


def test_without_spacing_lengths_are_in_pixels():
    truth, predicted = rectangle(5, 5, 8, 8), rectangle(8, 5, 8, 8)
    found = mask_numbers(truth, predicted, NOWHERE, np.full(2, np.nan))
    assert found.hd95 == 3.0
    assert math.isnan(found.nsd_1_mm)

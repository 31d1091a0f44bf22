"""Evaluation of masks: in source pixels, by class and person, with numbers that another tool would find."""

import json
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from datasets.masks.batch import MaskBatch, collate
from datasets.masks.dataset import MaskDataset
from tests.support.tiny_masks import CHEST, SIZE, write_chests
from transforms import geometry
from util.evaluation.masks.bootstrap import class_means, intervals, paired_difference
from util.evaluation.masks.edge_calibration import EdgeCalibration
from util.evaluation.masks.evaluator import MaskEvaluator, overlap_zone
from util.evaluation.masks.mask_results import concatenate, worst_images
from util.evaluation.masks.mask_summary import headline, left_out_of_lengths, summary, text_table
from util.prediction.masks.source import at_source, map_to_source


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> MaskBatch:
    dataset = MaskDataset(write_chests(tmp_path_factory.mktemp("masks") / "chests"), "test")
    return collate([dataset[index] for index in range(4)])


def outputs_of(masks: torch.Tensor) -> SimpleNamespace:
    """Sure logits of (B, K, H, W) bool masks."""
    return SimpleNamespace(final=torch.where(masks, 9.0, -9.0))


def evaluated(outputs: SimpleNamespace, batch: MaskBatch, **options):
    evaluator = MaskEvaluator(CHEST, **options)
    evaluator.update(outputs, batch)
    return evaluator.results()


def test_the_truth_itself_is_perfect(batch):
    results = evaluated(outputs_of(batch.targets), batch)
    found = summary(results)
    for name in ("dice", "iou", "dice_present", "dice_overlap", "nsd_0_5_mm"):
        assert found[name] == pytest.approx(dict.fromkeys([*CHEST.classes, "mean"], 1.0)), name
    assert found["assd_mm"] == dict.fromkeys([*CHEST.classes, "mean"], 0.0)
    assert found["assd_px"] is None
    assert not any(found["missed"].values()) and not any(found["invented"].values())
    assert (found["num_images"], found["num_persons"]) == (4, 2)


def test_numbers_are_the_mean_over_images_and_then_classes(batch):
    masks = batch.targets.clone()
    masks[0, 2] = False  # misses one heart of four
    masks[1, 3, 5, 5:9] = True  # invents a clavicle in one of the two images without one
    found = summary(evaluated(outputs_of(masks), batch))
    assert found["dice"]["heart"] == pytest.approx(0.75, abs=1e-4)
    assert found["dice"]["clavicle"] == pytest.approx(0.75, abs=1e-4)
    assert found["dice"]["mean"] == pytest.approx(3.5 / 4, abs=1e-4)
    assert found["dice_present"]["heart"] == 0.75 and found["dice_present"]["clavicle"] == 1.0
    assert found["missed"] == {"right_lung": 0, "left_lung": 0, "heart": 1, "clavicle": 0}
    assert found["invented"] == {"right_lung": 0, "left_lung": 0, "heart": 0, "clavicle": 1}
    assert found["assd_mm"]["heart"] == 0.0, "of the images where both have pixels"
    assert found["worst_cases"][:2] in (["chest10", "chest11"], ["chest11", "chest10"])


def test_the_json_is_flat_and_finite_and_the_table_shows_it(batch):
    results = evaluated(outputs_of(batch.targets.roll(2, -1)), batch)
    found = json.loads(json.dumps(summary(results), allow_nan=False))
    for name in ("dice", "iou", "assd_mm"):
        assert list(found[name]) == [*CHEST.classes, "mean"]
        assert all(isinstance(value, float) for value in found[name].values())
    assert found["assd_mm"]["right_lung"] == pytest.approx(2 * 0.5 * 2 / np.pi, rel=0.15), "a disc, 1 mm off"
    assert found["per_case"]["dice_present"][1][3] is None
    table = text_table(results)
    assert f"{found['dice']['heart']:.4f}" in table and f"{found['assd_mm']['mean']:.3f}" in table
    assert len({len(line) for line in table.splitlines()}) == 1
    assert headline(results)["dice"] == pytest.approx(found["dice"]["mean"])


def test_without_spacing_lengths_are_pixels(batch):
    unknown = replace(batch, spacing=torch.full_like(batch.spacing, torch.nan))
    shifted = outputs_of(batch.targets.roll(2, -1))
    pixels, mm = summary(evaluated(shifted, unknown)), summary(evaluated(shifted, batch))
    assert pixels["assd_mm"] is None and pixels["nsd_1_mm"] is None
    assert pixels["num_images_without_spacing"] == 4
    for name, value in mm["assd_mm"].items():
        assert pixels["assd_px"][name] == pytest.approx(value / 0.5)
    mixed = replace(batch, spacing=torch.cat([unknown.spacing[:2], batch.spacing[2:]]))
    together = evaluated(shifted, mixed)
    both = summary(together)
    assert both["assd_mm"]["heart"] and both["assd_px"]["heart"]
    table, known = text_table(together), f"{both['assd_mm']['mean']:.3f}"
    assert "ASSD mm" in table and known in table.splitlines()[2]
    assert left_out_of_lengths(together).startswith("Lengths are of the 2 images")


def test_a_class_that_nobody_looked_for_counts_nowhere(batch):
    known = batch.known.clone()
    known[:, 2] = False
    found = summary(evaluated(outputs_of(torch.zeros_like(batch.targets)), replace(batch, known=known)))
    assert found["dice"]["heart"] is None and found["missed"]["heart"] == 0
    assert found["dice"]["mean"] == pytest.approx(
        np.mean([found["dice"][name] for name in CHEST.classes if name != "heart"])
    )


def test_it_is_measured_in_source_pixels(batch):
    """A canvas of twice the size, a map of half its size, a canvas shifted: all lead home."""
    wide = batch.targets.repeat_interleave(2, 2).repeat_interleave(2, 3)
    matrix = torch.from_numpy(geometry.scale(0.5, 0.5)).expand(4, 3, 3)
    big = replace(batch, images=torch.zeros(4, 1, 160, 192), to_source=matrix)
    found = summary(evaluated(outputs_of(wide), big))
    assert found["dice"]["mean"] == pytest.approx(1.0, abs=1e-6)
    half = SimpleNamespace(final=outputs_of(batch.targets).final)  # a map of stride 2 on that canvas
    assert summary(evaluated(half, big))["dice"]["mean"] == pytest.approx(1.0, abs=1e-6)
    moved = torch.from_numpy(geometry.translate(3.0, 0.0)).expand(4, 3, 3)
    found = summary(evaluated(outputs_of(batch.targets.roll(-3, -1)), replace(batch, to_source=moved)))
    assert found["dice"]["mean"] == pytest.approx(1.0, abs=1e-6)


def test_a_map_is_read_at_the_centres_of_source_pixels():
    x, y = np.arange(12) + 0.5, np.arange(10) + 0.5
    ramp = (0.05 * x[None] + 0.03 * y[:, None]).astype(np.float32)  # a plane is interpolated exactly
    to_source = geometry.translate(4.0, -3.0) @ geometry.scale(4.0, 4.0)
    found = at_source(ramp, to_source, (40, 30))
    places = geometry.warp_points(np.array([[20.5, 10.5], [30.5, 25.5]]), np.linalg.inv(to_source))
    expected = places @ [0.05, 0.03]
    np.testing.assert_allclose([found[10, 20], found[25, 30]], expected, atol=2e-3)
    assert found[5, 3] == 0.0 and found[5, 4] > 0.0, "the map begins at column 4 of the source"
    edge = at_source(ramp, geometry.scale(4.0, 4.0), (48, 40))
    assert edge[0, 0] == ramp[0, 0], "beyond the outermost centre the nearest counts"
    np.testing.assert_allclose(map_to_source(np.eye(3), (48, 40), (10, 12)), geometry.scale(4.0, 4.0))


def test_results_can_be_pickled_and_put_together(batch):
    whole = evaluated(outputs_of(batch.targets.roll(2, -1)), batch)
    parts = []
    for chosen in (slice(0, 1), slice(1, 4)):
        part = MaskEvaluator(CHEST)
        for index in range(4)[chosen]:
            part.add(batch.targets[index].roll(2, -1).float().numpy(), batch, index)
        parts.append(pickle.loads(pickle.dumps(part.results())))
    together = concatenate(parts)
    assert together.cases == whole.cases and together.persons == whole.persons
    np.testing.assert_allclose(together.numbers, whole.numbers)
    for ours, theirs in zip(together.calibration, whole.calibration, strict=True):
        np.testing.assert_array_equal(ours.true, theirs.true)
    only = whole.only(np.array([True, False, True, False]))
    assert only.cases == ("chest10", "chest12") and only.numbers.shape[0] == 2
    with pytest.raises(ValueError, match="no image was evaluated"):
        MaskEvaluator(CHEST).results()


def test_thresholds_are_by_class_and_checked(batch):
    half = SimpleNamespace(final=torch.where(batch.targets, 0.4, -9.0))  # a probability of 0.599
    assert headline(evaluated(half, batch))["dice"] == pytest.approx(1.0)
    found = summary(evaluated(half, batch, thresholds=(0.5, 0.7, 0.5, 0.5)))
    assert found["dice"]["left_lung"] < 1e-4 and found["dice"]["right_lung"] == pytest.approx(1.0)
    assert found["thresholds"]["left_lung"] == 0.7
    for wrong in ((0.5,), (0.0, 0.5, 0.5, 0.5), (0.5, 0.5, 1.0, 0.5)):
        with pytest.raises(ValueError, match="threshold"):
            MaskEvaluator(CHEST, wrong)


def test_the_overlap_zone_has_two_or_more_structures(batch):
    zone = overlap_zone(batch.shapes[0], SIZE)
    masks = np.stack([shape.mask(SIZE) for shape in batch.shapes[0]])
    np.testing.assert_array_equal(zone, masks.sum(0) >= 2)
    assert zone.any()


def test_calibration_is_measured_near_the_edge_alone():
    truth = np.zeros((80, 100), bool)
    truth[20:60, 30:70] = True
    rng = np.random.default_rng(0)
    probability = rng.random(truth.shape).astype(np.float32)
    sure = EdgeCalibration.of(truth.astype(np.float32), truth, np.array([0.5, 0.5]))
    assert sure.error == 0.0
    perimeter, band = 4 * 40, 2 * 4  # 2 mm are 4 pixels on either side
    assert sure.counts.sum() == pytest.approx(perimeter * band, rel=0.05)
    random = EdgeCalibration.of(probability, truth, np.array([0.5, 0.5]))
    assert random.error == pytest.approx(0.25, abs=0.05), "half of the band is true, whatever is predicted"
    half = EdgeCalibration.of(np.full(truth.shape, 0.5, np.float32), truth, np.array([0.5, 0.5]))
    assert half.error == pytest.approx(0.0, abs=0.05)
    assert EdgeCalibration.of(probability, np.zeros_like(truth), np.ones(2)).counts.sum() == 0
    narrow = EdgeCalibration.of(probability, truth, np.array([0.5, 0.25]))
    assert narrow.counts.sum() == pytest.approx(2 * 40 * (2 * 4 + 2 * 8), rel=0.05)


def test_persons_are_drawn_not_images():
    """Two images of every person that are alike say no more than one: the interval stays as wide."""
    rng = np.random.default_rng(1)
    values = rng.random((30, 1))
    alone = intervals(values, [str(n) for n in range(30)])
    twice = intervals(values.repeat(2, 0), [str(n) for n in range(30) for _ in range(2)])
    np.testing.assert_allclose(alone, twice)
    careless = intervals(values.repeat(2, 0), [str(n) for n in range(60)])
    assert np.diff(careless[0]) < 0.85 * np.diff(alone[0])


def test_a_paired_difference_is_narrower_than_two_intervals():
    rng = np.random.default_rng(2)
    hard = rng.random((40, 1))
    first, second = hard + 0.05 + rng.normal(0, 0.01, (40, 3)), hard + rng.normal(0, 0.01, (40, 3))
    persons = [str(n) for n in range(40)]
    mean, interval = paired_difference(first, second, persons)
    np.testing.assert_allclose(mean, 0.05, atol=0.01)
    assert (interval[:, 0] > 0.03).all() and (interval[:, 1] < 0.07).all()
    assert np.diff(interval[3]) < 0.2 * np.diff(intervals(first, persons)[3])
    with pytest.raises(ValueError, match="same images"):
        paired_difference(first, second[:5], persons)


def test_means_leave_out_what_is_not_counted():
    values = np.array([[1.0, np.nan, np.nan], [0.0, 0.5, np.nan]])
    np.testing.assert_array_equal(class_means(values), [0.5, 0.5, np.nan, 0.5])
    assert np.isnan(intervals(values, ["a", "b"])[2]).all()


def test_worst_images_come_first(batch):
    masks = batch.targets.clone()
    masks[2, :2] = False
    masks[3, 0] = False
    assert worst_images(evaluated(outputs_of(masks), batch), 2) == [2, 3]

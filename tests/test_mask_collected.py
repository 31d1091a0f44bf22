"""What an evaluation collects: the evaluator's numbers, thresholds that fit, masks to draw."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from datasets.masks.batch import MaskBatch, collate
from datasets.masks.dataset import MaskDataset
from models.masks.mask_model import MaskModel, MaskOutputs
from tests.support.tiny_masks import CHEST, write_chests
from util.evaluation.masks.collected import MaskCollector, joined
from util.evaluation.masks.evaluator import MaskEvaluator
from util.evaluation.masks.mask_evaluation import MaskEvaluation, evaluated_by
from util.evaluation.masks.mask_summary import summary
from util.evaluation.masks.thresholds import GRID, best_thresholds, dice_curve
from util.prediction.masks.looks import MaskLooks
from util.prediction.masks.mean_field import MeanField
from util.prediction.masks.predict import MaskFinder, Member


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> MaskBatch:
    dataset = MaskDataset(write_chests(tmp_path_factory.mktemp("masks") / "chests"), "test")
    return collate([dataset[index] for index in range(4)])


def outputs_of(batch: MaskBatch, inside: float = 0.9, thresholds: float = 0.5) -> MaskOutputs:
    """Probability ``inside`` where the truth is, a tenth of it elsewhere."""
    probabilities = torch.where(batch.targets, inside, inside / 10)
    return MaskOutputs(probabilities.logit(), 1, thresholds=(thresholds,) * len(CHEST))


def test_the_numbers_are_those_of_the_evaluator(batch) -> None:
    outputs = outputs_of(batch)
    outputs.logits[0, 2] = -9.0
    collector, evaluator = MaskCollector(), MaskEvaluator(CHEST)
    collector.update(outputs, batch)
    evaluator.update(outputs, batch)
    assert summary(collector.results().results) == summary(evaluator.results())


def test_masks_and_truth_come_back_as_pixels(batch) -> None:
    collector = MaskCollector()
    collector.update(outputs_of(batch), batch)
    collected = pickle.loads(pickle.dumps(collector.results()))
    for index in range(4):
        for true, found in zip(collected.true_masks(index), collected.found_masks(index), strict=True):
            np.testing.assert_array_equal(true, found)
    assert sum(mask.any() for mask in collected.found_masks(1)) == 3  # odd images have no clavicle


def test_thresholds_follow_a_model_that_is_never_half_sure(batch) -> None:
    collector = MaskCollector()
    collector.update(outputs_of(batch, inside=0.3), batch)
    collected = collector.results()
    assert summary(collected.results)["dice"]["heart"] < 0.01
    thresholds = best_thresholds(collected.curves)
    assert all(0.03 < threshold <= 0.3 for threshold in thresholds)
    tuned = MaskCollector()
    outputs = outputs_of(batch, inside=0.3)
    tuned.update(MaskOutputs(outputs.logits, 1, thresholds=tuple(thresholds)), batch)
    assert summary(tuned.results().results)["dice"]["mean"] > 0.999


def test_parts_are_joined_in_order(batch) -> None:
    whole, parts = MaskCollector(), []
    whole.update(outputs_of(batch), batch)
    for index in range(4):
        part = MaskCollector()
        probabilities = (mask.astype(np.float32) for mask in whole.results().found_masks(index))
        part.add(probabilities, batch, index, thresholds=[0.5] * len(CHEST))
        parts.append(part.results())
    together = joined(parts)
    assert together.found == whole.results().found and together.sizes == whole.results().sizes
    assert together.results.cases == batch.cases
    assert np.isnan(together.curves).all()
    with pytest.raises(ValueError, match="no image was evaluated"):
        joined([])


def test_a_curve_by_hand_and_the_best_of_it() -> None:
    probabilities = np.array([[0.1, 0.32, 0.62, 0.9]])
    truth = np.array([[False, False, True, True]])
    curve = dice_curve(probabilities, truth)
    assert curve[GRID.tolist().index(0.5)] == pytest.approx(1.0, abs=1e-4)
    assert curve[GRID.tolist().index(0.3)] == pytest.approx(0.8, abs=1e-4)
    assert curve[GRID.tolist().index(0.95)] < 1e-4
    nothing = np.full_like(curve, np.nan)
    assert best_thresholds(np.stack([[curve, nothing], [nothing, nothing]])) == [0.5, 0.5]
    empty = dice_curve(np.array([[0.1, 0.72]]), np.array([[False, False]]))  # nothing there: 1 above 0.72
    assert best_thresholds(empty[None, None]) == [0.75]


class TruthModel(MaskModel):
    """Knows the chests, 96 x 80 pixels in the middle of a canvas of 96 x 96, and what they show."""

    def __init__(self, batch: MaskBatch) -> None:
        super().__init__(len(CHEST))
        self.batch = batch.to("cpu")

    def forward(self, images: Tensor, targets: None = None) -> MaskOutputs:
        seen = images[0, 0, 8:-8]
        index = int((self.batch.images[:, 0] - seen).abs().sum((1, 2)).argmin())
        logits = torch.where(self.batch.targets[index], 9.0, -9.0)
        return MaskOutputs(F.pad(logits, (0, 0, 8, 8), value=-9.0)[None], 1)


class HeartEraser(MeanField):
    """In place of a mean field: takes every heart away."""

    def __call__(self, logits: Tensor, images: Tensor) -> Tensor:
        erased = logits.clone()
        erased[:, CHEST.classes.index("heart")] = -9.0
        return erased


def test_what_a_mean_field_did_to_the_numbers_is_said(batch, tmp_path) -> None:
    """Of four classes that were right one is lost: its Dice falls by 1, the mean by a quarter."""
    data = MaskDataset(write_chests(tmp_path / "chests"), "test")
    evaluations = {}
    for field in (None, HeartEraser()):
        looks = MaskLooks((Path("best.pt"),), mean_field=field)
        finder = MaskFinder([Member(TruthModel(batch), CHEST, (96, 96))], looks)
        collected = evaluated_by(finder, map(data.load, range(4)))
        evaluations[field is not None] = MaskEvaluation(collected, "a", "b", data.folder, "test", looks)
    assert (
        evaluations[False].to_dict()["mean_field"] is None and "mean field" not in evaluations[False].text()
    )
    found = evaluations[True].to_dict()
    assert found["task"] == "masks"
    assert found["dice"]["mean"] == pytest.approx(0.75, abs=1e-3)
    change = found["mean_field"]["dice"]
    assert change["heart"]["first"] == pytest.approx(1.0, abs=1e-3)
    assert change["heart"]["difference"] == pytest.approx(-1.0, abs=1e-3)
    assert change["left_lung"]["difference"] == 0.0
    assert change["mean"]["difference"] == pytest.approx(-0.25, abs=1e-3)
    header, mean, *classes = evaluations[True].mean_field_table()
    assert header == ("class", "without", "with", "difference", "95 %")
    assert mean[:4] == ("mean", "1.0000", "0.7500", "-0.2500")
    assert [row[3] for row in classes] == ["+0.0000", "+0.0000", "-1.0000", "+0.0000"]
    assert "Dice and the mean field" in evaluations[True].text()

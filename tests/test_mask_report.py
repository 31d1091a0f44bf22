"""The report of masks and its pictures: every number of the table, the worst cases, no other file."""

import base64
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.masks.batch import collate
from datasets.masks.dataset import MaskDataset
from tests.support.tiny_masks import CHEST, write_chests
from util.evaluation.masks.collected import CollectedMasks, MaskCollector
from util.evaluation.masks.edge_calibration import EdgeCalibration
from util.evaluation.masks.mask_evaluation import MaskEvaluation
from util.evaluation.masks.mask_summary import table_rows
from util.prediction.masks.looks import MaskLooks
from util.reporting.masks.mask_drawing import PREDICTION, TRUTH, compared, outlined, palette
from util.reporting.masks.mask_figures import edge_reliability, spread_by_class
from util.reporting.masks.mask_report import _headline, write_report


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[MaskDataset, CollectedMasks]:
    """Four chests; the heart of the third was missed, all else is a pixel off."""
    dataset = MaskDataset(write_chests(tmp_path_factory.mktemp("masks") / "chests"), "test")
    batch = collate([dataset[index] for index in range(4)])
    collector = MaskCollector()
    for index in range(4):
        masks = batch.targets[index].roll(1, -1).float()
        if index == 2:
            masks[2] = 0.0
        collector.add(iter(masks.numpy()), batch, index, thresholds=[0.5] * 4)
    return dataset, collector.results()


def pictures_of(page: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR) for data in found]


def test_the_report_has_every_number_and_needs_nothing_else(evaluated, tmp_path):
    dataset, collected = evaluated
    asked = []

    def load(index: int) -> np.ndarray:
        asked.append(index)
        return dataset.load(index).image

    file = tmp_path / "report.html"
    evaluation = MaskEvaluation(
        collected=collected,
        labels="Dr <A>",
        trained_on="synthetic",
        folder=Path("data/chests"),
        subset="test",
        looks=MaskLooks((Path("runs/a/best.pt"),)),
    )
    write_report(file, evaluation, load)
    page = file.read_text()
    for row in table_rows(collected.results):
        for cell in row:
            assert f"<td>{cell}</td>" in page
    assert "Masks of chests, test" in page and "Dr &lt;A&gt;" in page and "runs/a/best.pt" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "nothing is loaded from elsewhere"
    assert asked[0] == 2, "the image without its heart comes first"
    assert "chest12: mean Dice" in page and "heart: Dice 0.000" in page
    pictures = pictures_of(page)
    assert len(pictures) == 3 + 2 * len(asked) and all(picture is not None for picture in pictures)


@pytest.mark.parametrize(("unknown", "band"), [((), "2 mm"), ((0, 1, 2, 3), "6 px"), ((0,), "2 mm or 6 px")])
def test_the_band_of_the_calibration_is_in_the_unit_it_was_measured_in(evaluated, unknown, band):
    results = evaluated[1].results
    spacing = results.spacing.copy()
    spacing[list(unknown)] = np.nan
    assert f"error within {band} of edges" in _headline(replace(results, spacing=spacing))


def test_true_outlines_are_red_and_predicted_ones_green_where_they_are():
    truth, predicted = np.zeros((2, 60, 80), bool)
    truth[10:40, 10:30] = True
    predicted[10:40, 40:70] = True
    drawn = compared(np.full((60, 80), 50, np.uint8), [truth], [predicted], width=1)
    assert drawn[10, 20].tolist() == list(TRUTH) and drawn[10, 55].tolist() == list(PREDICTION)
    assert drawn[25, 20].tolist() == [50, 50, 50], "inside, the image shows"
    assert drawn[5, 5].tolist() == [50, 50, 50]


def test_overlapping_outlines_hide_nothing_and_colours_differ():
    colours = palette(29)
    assert len(set(colours)) == 29
    steps = [np.abs(np.subtract(a, b)).max() for a, b in pairwise(colours)]
    assert min(steps) > 60, "neighbours in the list are told apart"
    one, other = np.zeros((2, 40, 40), bool)
    one[5:30, 5:30] = other[15:38, 15:38] = True
    drawn = outlined(np.zeros((40, 40), np.uint8), [one, other], colours[:2], width=1)
    assert drawn[5, 10].tolist() == list(colours[0]) and drawn[20, 15].tolist() == list(colours[1])
    assert drawn[20, 29].tolist() == list(colours[0]), "the first one's edge inside the second"


def test_figures_take_classes_without_a_number():
    values = np.array([[0.9, np.nan], [0.8, np.nan]])
    labels = spread_by_class(values, ("a", "b"), "Dice").axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["a (n=2)", "b (n=0)"]
    bars = EdgeCalibration(
        np.array([10.0] + [0.0] * 9), np.array([0.5] + [0.0] * 9), np.array([4.0] + [0.0] * 9)
    )
    (bar,) = edge_reliability([bars, EdgeCalibration.nothing()]).axes[0].patches
    assert bar.get_height() == pytest.approx(0.4)
    assert bar.get_x() + bar.get_width() / 2 == pytest.approx(0.05)


def test_what_is_collected_comes_back_as_masks(evaluated):
    dataset, collected = evaluated
    for name, shape, found in zip(
        CHEST.classes, dataset.load(0).shapes, collected.found_masks(0), strict=True
    ):
        np.testing.assert_array_equal(found, np.roll(shape.mask((96, 80)), 1, 1), err_msg=name)

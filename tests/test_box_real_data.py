"""The real sets that the box readers were written for: teeth on panoramic X-rays, blood cells in colour."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.boxes.box_dataset import open_boxes
from tests.support.run_tool import run_tool
from transforms.augment import TrainTransforms
from util.evaluation.boxes.box_results import BoxResults, ImageBoxes
from util.evaluation.boxes.box_summary import headline

pytestmark = pytest.mark.real_data


def prepared(name: str, out: Path, *more: object) -> str:
    """Prepare a set below CEPHDETR_REAL_DATA; what the tool said on standard error."""
    if "CEPHDETR_REAL_DATA" not in os.environ:
        pytest.skip(f"CEPHDETR_REAL_DATA is not set: the folder that holds {name}/")
    real = Path(os.environ["CEPHDETR_REAL_DATA"]) / name
    parts = ["--train", real / "train.json", "--test", real / "val.json"]
    done = run_tool(
        "tools/prepare_coco.py", *parts, "--images", real / "train", real / "val", "--output", out, *more
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_teeth(tmp_path):
    prepared("teeth", tmp_path / "out", "--hold-out", 40, "--size", 320)
    train, val, test = (open_boxes(tmp_path / "out", subset) for subset in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (255, 40, 66)
    assert len(train.classes) == 32 and len(train.classes.pairs or ()) == 16
    assert test.load(0).image.shape == (320, 320)
    # Upper teeth lie above lower ones, and a mirror image changes nothing of where a class lies on average.
    plain, mirrored = (TrainTransforms((320, 320), rotation=0.0, flip=flip) for flip in (0.0, 1.0))
    centres = []
    for transforms in (plain, mirrored):
        samples = [replace_transforms(train, transforms).without_pixels(index) for index in range(60)]
        labels = np.concatenate([sample.labels for sample in samples])
        middle = np.concatenate([(sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2 for sample in samples])
        centres.append(np.stack([middle[labels == label].mean(0) for label in range(32)]))
    assert np.abs(centres[0] - centres[1]).max() < 25
    assert centres[0][:16, 1].max() < centres[0][16:, 1].min()


def replace_transforms(dataset, transforms):
    return open_boxes(dataset.folder, dataset.subset, transforms)


def test_blood_cells(tmp_path):
    said = prepared("bccd", tmp_path / "out")
    assert said.count("1 empty boxes left out") == 2
    test = open_boxes(tmp_path / "out", "test")
    assert test.load(0).image.shape == (480, 640, 3) and test.classes.ids == (1, 2, 3)
    perfect = [
        ImageBoxes(
            case=case,
            size=record.size,
            boxes=record.boxes.astype(np.float32),
            scores=np.ones(len(record.labels), np.float32),
            labels=record.labels,
            true_boxes=record.boxes,
            true_labels=record.labels,
            ignored=record.ignored,
            areas=record.areas,
        )
        for case, record in zip(test.cases, test.records, strict=True)
    ]
    assert headline(BoxResults(tuple(perfect)))["ap"] == pytest.approx(1.0)
    nothing = [
        replace(one, scores=one.scores[:0], boxes=one.boxes[:0], labels=one.labels[:0]) for one in perfect
    ]
    assert headline(BoxResults(tuple(nothing)))["ap"] == 0.0

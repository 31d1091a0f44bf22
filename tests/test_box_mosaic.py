"""Mosaics of four training images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.boxes.box_dataset import BoxDataset
from datasets.boxes.class_set import BoxClasses
from datasets.boxes.geometry import MIN_VISIBLE, areas
from datasets.boxes.mosaic import mosaic
from datasets.boxes.objects import BoxRecord
from datasets.prepared.drawn import DrawnCases
from tests.test_box_batch import box_sample
from transforms.augment import TrainTransforms
from transforms.intensity import Intensity

GREYS = (60, 120, 180, 240)  # of the rectangles of an image, by its index and its label


def dataset(**options):
    """Four images of 100 x 80 pixels with rectangles of a grey each, and a fifth without any."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(5):
        count = 0 if number == 4 else 4
        corners = np.array([(5, 5), (55, 5), (5, 45), (55, 45)][:count], float).reshape(-1, 2)
        corners += rng.integers(0, 10, (count, 2))
        boxes = np.concatenate([corners, corners + rng.integers(15, 30, (count, 2))], 1)
        size, spacing = (100, 80), np.full(2, np.nan)
        labels, ignored = np.arange(count), np.zeros(count, bool)
        records.append(
            BoxRecord(Path(f"{number}.png"), size, boxes, labels, ignored, areas(boxes), spacing, number)
        )

    def draw(file, size):
        image = np.zeros(size[::-1], np.uint8)
        record = records[int(file.stem)]
        for (left, top, right, bottom), label in zip(record.boxes.astype(int), record.labels, strict=True):
            image[top:bottom, left:right] = GREYS[label]
        return image

    classes = BoxClasses(tuple("abcd"), (1, 2, 3, 4), ((0, 1), (2, 3)))
    transforms = TrainTransforms((64, 96), artefacts=0.0, intensity=Intensity(0.0), **options)
    return BoxDataset(records, classes, draw, folder=Path(), subset="train", transforms=transforms)


def test_a_mosaic_shows_every_object_in_its_box_and_none_without():
    found, unboxed = [], []
    data = dataset(rotation=0.0, flip=0.0, mosaic=1.0)
    for draw in range(40):
        sample = data[draw % 5, draw]
        rest = sample.image.copy()
        for box, label in zip(sample.boxes, sample.labels, strict=True):
            left, top, right, bottom = box
            inner = sample.image[int(top) + 2 : int(bottom) - 1, int(left) + 2 : int(right) - 1]
            assert (abs(inner.astype(int) - GREYS[label]) <= 1).all()
            rest[max(int(top) - 1, 0) : int(bottom) + 2, max(int(left) - 1, 0) : int(right) + 2] = 0
            found.append(label)
        unboxed.append((rest > 0).mean())
        assert len(sample.case.split(" + ")) == 4
    assert np.mean(unboxed) < 0.005  # slivers, too little to count
    assert len(found) > 120 and set(found) == {0, 1, 2, 3}


def test_what_a_seam_leaves_of_an_object_is_clipped_to_its_quarter_or_dropped():
    samples = [box_sample(64, 96, [(1, 1, 63, 95)]) for _ in GREYS]
    samples = [
        replace(one, image=np.full((96, 64), grey, np.uint8))
        for one, grey in zip(samples, GREYS, strict=True)
    ]
    dropped = 0
    for seed in range(20):
        joined = mosaic(samples, np.random.default_rng(seed))
        x, y = (joined.image[0] == GREYS[0]).sum(), (joined.image[:, 0] == GREYS[0]).sum()
        assert 16 <= x <= 48 and 24 <= y <= 72
        assert (joined.image[y:, x:] == GREYS[3]).all()
        quarters = np.array([[1, 1, x, y], [x, 1, 63, y], [1, y, x, 95], [x, y, 63, 95]], float)
        visible = areas(quarters) >= MIN_VISIBLE * 62 * 94
        assert np.allclose(joined.boxes, quarters[visible])
        dropped += (~visible).sum()
    assert dropped


def test_a_mosaic_is_a_function_of_seed_draw_and_index_and_off_by_default():
    data, again, plain = dataset(mosaic=0.5, flip=0.5), dataset(mosaic=0.5, flip=0.5), dataset(flip=0.5)
    joined = 0
    for draw in range(12):
        one, other = data[4, draw], again[4, draw]
        assert np.array_equal(one.image, other.image) and np.array_equal(one.boxes, other.boxes)
        joined += " + " in one.case
        rng = np.random.default_rng([0, draw, 1])
        before, now = plain.transforms(plain.load(1), rng), plain[1, draw]  # as without mosaics
        assert np.array_equal(before.image, now.image) and np.array_equal(before.boxes, now.boxes)
    assert 0 < joined < 12
    assert np.array_equal(data.without_pixels(0).boxes, data[0].boxes)


def test_what_has_no_boxes_refuses_mosaics():
    class Others(DrawnCases):
        transforms, seed = TrainTransforms((64, 64), mosaic=0.5), 0

        def load(self, index):
            return box_sample(64, 64)

    with pytest.raises(ValueError, match="Only boxes have mosaics"):
        Others()[0]

"""Boxes of phantoms: about what is drawn, exact, of many sizes, the same head as the landmarks'."""

import numpy as np
import pytest

from datasets.boxes.box_dataset import open_boxes
from datasets.phantoms.drawing import Structure, attenuation_map, ellipse
from datasets.phantoms.parts import PART_CLASSES, part_boxes
from datasets.phantoms.phantom import Phantom
from tests.support.run_tool import run_tool


def test_boxes_are_about_what_is_drawn():
    """The hull of the pixels that each part covers, drawn alone, is its box within a pixel."""
    head = Phantom(size=480, seed=2)._head(5)
    for part in head.structures:
        if part.part is None:
            continue
        boxes, labels = part_boxes([part], head.size, head.spacing)
        alone = Structure(part.path, 1.0, width=part.width)
        rows, columns = np.nonzero(attenuation_map([alone], head.size, head.spacing) > 0.02)
        if not len(boxes):
            assert len(rows) < 0.12 * head.size[0] * head.size[1]
            continue
        hull = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(boxes[0] - hull).max() < 1.5, part.part
        assert PART_CLASSES.names[labels[0]] == part.part


def test_every_class_occurs_and_sizes_differ():
    phantom = Phantom(size=320, seed=0)
    records = [phantom.boxes(index) for index in range(12)]
    counts = np.bincount(np.concatenate([record.labels for record in records]), minlength=len(PART_CLASSES))
    assert (counts > 0).all()
    numbers = {len(record.labels) for record in records}
    assert len(numbers) > 3 and min(numbers) > 15
    sides = np.sqrt(np.concatenate([record.areas for record in records]))
    assert sides.min() < 8 and sides.max() > 150
    for record in records:
        assert (record.boxes >= 0).all() and (record.boxes <= [*record.size, *record.size]).all()


def test_a_head_is_the_same_at_every_size_and_for_every_task():
    small, large = Phantom(size=320, seed=4), Phantom(size=640, seed=4)
    first, second = small.boxes(3), large.boxes(3)
    names = [PART_CLASSES.names[label] for label in first.labels]
    twin = {name: second.boxes[second.labels == PART_CLASSES.names.index(name)] for name in names}
    for name, box in zip(names, first.boxes, strict=True):
        ratio = np.tile(np.array(second.size) / np.array(first.size), 2)
        assert np.abs(twin[name] - box * ratio).max(1).min() < 1.0, name
    assert np.array_equal(small.image(3), small.case(3).image)
    assert np.allclose(first.spacing, small.case(3).spacing)


def test_what_lies_outside_has_no_box():
    inside = ellipse(np.array([20.0, 30.0]), np.array([5.0, 0.0]), np.array([0.0, 4.0]))
    outside = inside + np.array([500.0, 0.0])
    structures = [Structure(path, 0.2, part="hyoid") for path in (inside, outside)] + [Structure(inside, 0.1)]
    boxes, labels = part_boxes(structures, (100, 100), 0.5)
    assert boxes == pytest.approx(np.array([[30, 52, 50, 68]]), abs=0.1)
    assert labels.tolist() == [PART_CLASSES.names.index("hyoid")]


def test_the_tool_writes_a_folder_of_boxes(tmp_path):
    out = tmp_path / "out"
    counts = ["--train", 3, "--val", 1, "--test", 1]
    done = run_tool("tools/prepare_phantom.py", "--task", "boxes", "--output", out, *counts, "--size", 128)
    assert done.returncode == 0, done.stderr
    phantom, test = Phantom(size=128), open_boxes(out, "test")
    sample = test.load(0)
    assert test.classes == PART_CLASSES and len(open_boxes(out, "train")) == 3
    assert np.array_equal(sample.image, phantom.image(4))
    assert np.allclose(sample.boxes, phantom.boxes(4).boxes, atol=1e-3)

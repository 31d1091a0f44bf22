"""Boxes under the one geometry, and the classes that a mirror image exchanges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.boxes import geometry
from datasets.boxes.box_dataset import BoxDataset
from datasets.boxes.class_set import BoxClasses
from datasets.prepared.subsets import read_png
from tests.test_box_batch import box_sample
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.geometry import flip_x, rotate, scale, translate, warp_points
from transforms.intensity import Intensity
from transforms.move import Move
from transforms.multiscale import MultiScaleTransforms

SIDES = BoxClasses(("11", "21", "47"), (1, 9, 31), ((0, 1),))


def test_a_flip_moves_boxes_and_exchanges_sides():
    sample = box_sample(40, 30, [(2, 3, 12, 11), (30, 1, 36, 9)], classes=SIDES)
    moved = sample.moved(Move(flip_x(40.0), (40, 30)))
    assert moved.boxes.tolist() == [[28, 3, 38, 11], [4, 1, 10, 9]]
    assert moved.labels.tolist() == [1, 1] and sample.labels.tolist() == [0, 0]
    assert moved.source_boxes.tolist() == sample.boxes.tolist()
    assert np.array_equal(moved.image, sample.image[:, ::-1])


def test_a_mirror_image_is_refused_where_the_partner_of_a_side_is_missing():
    classes = BoxClasses.from_categories([{"id": 1, "name": "lung left"}], "a.json")
    assert classes.pairs is None
    with pytest.raises(ValueError, match="no image is mirrored"):
        box_sample(40, 30, [(2, 3, 12, 11)], classes=classes).moved(Move(flip_x(40.0), (40, 30)))


def test_a_half_turn_is_no_mirror_image():
    sample = box_sample(40, 30, [(2, 3, 12, 11)], classes=SIDES)
    moved = sample.moved(Move(translate(40, 30) @ rotate(180), (40, 30)))
    assert np.allclose(moved.boxes, [[28, 19, 38, 27]]) and moved.labels.tolist() == [0]


@settings(max_examples=50, deadline=None)
@given(
    box=st.tuples(*[st.floats(0, 400)] * 2, *[st.floats(1, 200)] * 2),
    zoom=st.tuples(st.floats(0.2, 3), st.floats(0.2, 3)),
    shift=st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    mirrored=st.booleans(),
)
def test_without_rotation_boxes_come_back(box, zoom, shift, mirrored):
    boxes = np.array([[box[0], box[1], box[0] + box[2], box[1] + box[3]]])
    matrix = translate(*shift) @ scale(*zoom) @ (flip_x(640.0) if mirrored else np.eye(3))
    moved = geometry.warp_boxes(boxes, matrix)
    assert np.allclose(geometry.areas(moved), geometry.areas(boxes) * np.prod(zoom))
    assert np.allclose(geometry.warp_boxes(moved, np.linalg.inv(matrix)), boxes, atol=1e-6)


@given(degrees=st.floats(-180, 180))
def test_a_rotated_box_holds_the_ellipse_that_was_in_it_and_no_more(degrees):
    box = np.array([[10.0, 20.0, 50.0, 30.0]])
    hull = geometry.warp_boxes(box, rotate(degrees))[0]
    radians = np.deg2rad(degrees)
    width = 2 * np.hypot(20 * np.cos(radians), 5 * np.sin(radians))
    height = 2 * np.hypot(20 * np.sin(radians), 5 * np.cos(radians))
    assert np.allclose((hull[2:] - hull[:2]) / [width, height], 1.0, atol=0.002)
    assert np.allclose((hull[:2] + hull[2:]) / 2, warp_points(np.array([30.0, 25.0]), rotate(degrees)))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_box_turned_by_a_right_angle_is_exact(degrees):
    box = np.array([[10.0, 20.0, 50.0, 30.0]])
    corners = warp_points(np.array([[10.0, 20.0], [50.0, 30.0]]), rotate(degrees))
    moved = geometry.warp_boxes(box, rotate(degrees))[0]
    assert np.allclose(moved, [*corners.min(0), *corners.max(0)])


@pytest.mark.parametrize(
    ("box", "seen"),
    [
        ((10, 10, 20, 20), (10, 10, 20, 20)),
        ((-15, 10, 5, 20), (0, 10, 5, 20)),  # a quarter is in sight
        ((-19, 10, 1, 20), None),  # 5 % of it is
        ((-50, 10, 0, 20), None),
        ((10, 29.5, 20, 31), None),  # half a pixel is left
        ((10, 10, 10.9, 20), None),  # thinner than a pixel
        ((-100, -100, 200, 200), None),  # the whole canvas, but 1.3 % of the object
        ((-5, -5, 45, 35), (0, 0, 40, 30)),
    ],
)
def test_what_is_left_of_a_box_is_clipped_or_dropped(box, seen):
    sample = box_sample(40, 30, [box, (1, 1, 5, 5)]).in_sight()
    expected = [list(seen)] if seen else []
    assert sample.boxes.tolist() == [*expected, [1, 1, 5, 5]]
    assert len(sample.labels) == len(sample.areas) == len(sample.ignored) == len(sample.boxes)
    assert sample.ignored.tolist()[-1] is True  # flags stay with their box


def test_evaluation_keeps_every_box_and_the_way_back():
    boxes = [(0.0, 0.0, 0.3, 0.4), (5.0, 6.0, 40.0, 30.0)]
    sample = EvalTransforms((64, 96))(box_sample(40, 30, boxes), np.random.default_rng(0))
    assert len(sample.boxes) == 2
    assert np.allclose(geometry.warp_boxes(sample.boxes, sample.to_source), boxes)


@pytest.mark.parametrize("colour", [False, True])
def test_training_keeps_boxes_on_what_they_show(colour):
    image = np.zeros((200, 300, 3) if colour else (200, 300), np.uint8)
    image[60:120, 90:180] = 255
    base = box_sample(300, 200, [(90, 60, 180, 120)], colour=colour)
    transforms = TrainTransforms((256, 256), rotation=0.0, artefacts=0.0, intensity=Intensity(0.0), flip=0.5)
    for draw in range(20):
        sample = transforms(base.__class__(**{**vars(base), "image": image}), np.random.default_rng(draw))
        if not len(sample.boxes):
            continue
        left, top, right, bottom = np.round(sample.boxes[0]).astype(int)
        inner = sample.image[top + 4 : bottom - 4, left + 4 : right - 4].astype(float)
        outer = sample.image.astype(float).sum() - sample.image[top:bottom, left:right].astype(float).sum()
        assert inner.mean() > 2 * outer / sample.image.size


def test_iou_by_hand():
    first = np.array([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 0.0, 0.0]])
    second = np.array([[5.0, 0.0, 15.0, 10.0], [20.0, 20.0, 30.0, 30.0], [0.0, 0.0, 10.0, 10.0]])
    assert np.allclose(geometry.pairwise_iou(first, second), [[1 / 3, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize(
    ("names", "ids", "message"),
    [
        ((), (), "no class"),
        (("a", "a"), (1, 2), "names of classes"),
        (("a", "b"), (1, 1), "ids of classes"),
        (("a", " "), (1, 2), "one is empty"),
    ],
)
def test_unsound_classes_are_refused(names, ids, message):
    with pytest.raises(ValueError, match=message):
        BoxClasses(names, ids)


def test_ids_are_mapped_and_mapped_back():
    for large in (90, 10**20):
        data = [{"id": large, "name": "b"}, {"id": 0, "name": "a"}]
        classes = BoxClasses.from_categories(data, "a.json")
        assert classes.names == ("a", "b") and classes.ids == (0, large)
        assert [classes.label(number) for number in (large, 0)] == [1, 0]
        assert classes.category_ids(np.array([1, 0, 1])).tolist() == [large, 0, large]
    assert BoxClasses.from_dict(classes.to_dict(), "a.json") == classes
    with pytest.raises(ValueError, match="category 5 is unknown"):
        classes.label(5)


def test_flips_are_refused_before_a_training_where_the_pairs_are_not_known(tmp_path):
    classes = BoxClasses(("left", "right", "left hand"), (1, 2, 3), None)
    with pytest.raises(ValueError, match="no image is mirrored"):
        BoxDataset([], classes, read_png, folder=tmp_path, subset="train", transforms=MultiScaleTransforms())

"""Canvases that follow the image: what they show is where the matrix says, at the sides asked for."""

import numpy as np
import pytest

from datasets.boxes.geometry import warp_boxes
from tests.test_box_batch import box_sample
from transforms.augment import TrainTransforms
from transforms.intensity import Intensity
from transforms.multiscale import MultiScaleTransforms, ShortSideTransforms
from transforms.sample import PointSample


@pytest.mark.parametrize(
    ("size", "canvas"),
    [
        ((640, 425), (1205, 800)),  # float32 and truncation make it 1204x799 in the original
        ((480, 640), (800, 1067)),
        ((1920, 1080), (1333, 750)),
        ((500, 20), (1333, 53)),
    ],
)
def test_the_short_side_is_met_unless_the_long_one_would_be_too_long(size, canvas):
    sample = ShortSideTransforms()(box_sample(*size, [(5, 5, 15, 15)]), np.random.default_rng(0))
    assert sample.size == canvas
    assert np.allclose(warp_boxes(sample.boxes, sample.to_source), [[5, 5, 15, 15]])


@pytest.mark.parametrize("colour", [False, True])
def test_a_training_canvas_has_the_sides_and_shows_the_boxes(colour):
    box = np.array([120.0, 80.0, 200.0, 140.0])
    sample = box_sample(320, 240, [box], colour=colour)
    sample.image[:] = 20
    sample.image[80:140, 120:200] = 220
    transforms = MultiScaleTransforms(
        (160, 192), 260, crop_shorts=(200, 300), crop_sides=(120, 180), intensity=Intensity(0.0)
    )
    shorts, mirrored, cut = set(), 0, 0
    for draw in range(60):
        moved = transforms(sample, np.random.default_rng(draw))
        shorts.add(min(moved.size))
        assert max(moved.size) <= 260
        mirrored += np.linalg.det(moved.to_source) < 0
        cut += not np.isclose(moved.size[0] / moved.size[1], 4 / 3, atol=0.02)
        whole = warp_boxes(box[None], np.linalg.inv(moved.to_source))[0]
        seen = np.clip(whole, 0, [*moved.size, *moved.size])
        if not len(moved.boxes):
            assert (seen[2:] - seen[:2]).prod() < 0.1 * (whole[2:] - whole[:2]).prod()
            continue
        assert np.allclose(moved.boxes, seen)
        left, top, right, bottom = np.round(seen).astype(int)
        assert moved.image[top + 3 : bottom - 3, left + 3 : right - 3].min() > 200
        outside = moved.image.copy()
        outside[max(top - 3, 0) : bottom + 3, max(left - 3, 0) : right + 3] = 20
        assert outside.max() < 40
    assert {160, 192} <= shorts and 15 < mirrored < 45 and 10 < cut < 50


def test_a_draw_is_repeatable():
    transforms, sample = MultiScaleTransforms(intensity=Intensity()), box_sample(90, 60, [(5, 5, 50, 50)])
    first, second = (transforms(sample, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.image, second.image) and np.array_equal(first.boxes, second.boxes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ShortSideTransforms(800, 600), "short side 800"),
        (lambda: MultiScaleTransforms(flip=1.5), "flip=1.5"),
        (lambda: MultiScaleTransforms(crop_sides=(5, 3)), "crop_sides"),
        (lambda: TrainTransforms((64, 64), flip=-1.0), "flip=-1.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_landmarks_are_not_mirrored():
    sample = PointSample(
        image=np.zeros((64, 64), np.uint8),
        points=np.full((2, 2), 10.0),
        spacing=np.ones(2),
        to_source=np.eye(3),
        case="a",
    )
    with pytest.raises(ValueError, match="flip=0"):
        TrainTransforms((64, 64), flip=1.0)(sample, np.random.default_rng(0))


def test_flips_are_as_frequent_as_asked_and_change_nothing_else():
    sample = box_sample(64, 64, [(5, 5, 50, 50)])
    transforms = TrainTransforms((64, 64), flip=0.25)
    found = [transforms(sample, np.random.default_rng(draw)) for draw in range(100)]
    assert 10 < sum(np.linalg.det(one.to_source) < 0 for one in found) < 40

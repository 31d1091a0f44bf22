"""Pixels that are longer one way: a model sees them square, and points lead back to where they are."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.files.image_files import SourceImage
from tests.support.xray_files import picture
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.geometry import pixel_shape, warp_points
from transforms.sample import PointSample
from util.prediction.landmarks.image_landmarks import canvas_sample, image_landmarks

SIZE = (128, 96)
SQUARE = picture(200, 150)


def squeezed(along_x, along_y):
    """``SQUARE`` with fewer pixels each way, which are longer by as much."""
    size = (round(150 / along_x), round(200 / along_y))
    return cv2.resize(SQUARE, size, interpolation=cv2.INTER_AREA), np.array([0.1 * along_x, 0.1 * along_y])


def source(image, spacing):
    return SourceImage(image, np.asarray(spacing, np.float64), Path("x.png"), None)


@pytest.mark.parametrize("factors", [(1, 2), (2, 1), (1, 1.25)])
def test_a_model_sees_the_same_picture_whatever_the_shape_of_its_pixels(factors):
    wanted = canvas_sample(source(SQUARE, (0.1, 0.1)), EvalTransforms(SIZE))
    found = canvas_sample(source(*squeezed(*factors)), EvalTransforms(SIZE))
    assert np.corrcoef(found.image.ravel(), wanted.image.ravel())[0, 1] > 0.995
    place = np.array([[30.0, 40.0]])
    home = warp_points(place, found.to_source) * factors
    np.testing.assert_allclose(home, warp_points(place, wanted.to_source), atol=0.6)


def test_millimetres_of_the_uncertainty_are_those_of_square_pixels():
    points, scales = np.array([[0.4, 0.5]]), np.array([[0.02, 0.03]])
    wanted = image_landmarks(canvas_sample(source(SQUARE, (0.1, 0.1)), EvalTransforms(SIZE)), points, scales)
    found = image_landmarks(canvas_sample(source(*squeezed(1, 2)), EvalTransforms(SIZE)), points, scales)
    np.testing.assert_allclose(found.uncertainty_mm, wanted.uncertainty_mm, rtol=1e-6)


@pytest.mark.parametrize("spacing", [(np.nan, np.nan), (0.1, 0.1005), (3.0, 3.0)])
def test_unknown_and_nearly_square_pixels_are_taken_as_square(spacing):
    assert pixel_shape(np.array(spacing)).tolist() == [1.0, 1.0]
    sample = canvas_sample(source(SQUARE, spacing), EvalTransforms(SIZE))
    zoom = min(96 / 150, 128 / 200)
    np.testing.assert_allclose(np.linalg.inv(sample.to_source)[:2, :2], np.eye(2) * zoom)


def test_training_sees_them_square_too():
    image, spacing = squeezed(1, 2)
    corners = np.array([[20.0, 20.0], [120.0, 20.0], [20.0, 180.0]])
    sample = PointSample(
        image=image, spacing=spacing, to_source=np.eye(3), case="x", points=corners / [1, 2], pairs=()
    )
    for seed in range(5):
        seen = TrainTransforms(SIZE, rotation=20.0, artefacts=0.0)(sample, np.random.default_rng(seed))
        along, down = seen.points[1] - seen.points[0], seen.points[2] - seen.points[0]
        if np.isfinite([along, down]).all():
            assert np.linalg.norm(down) / np.linalg.norm(along) == pytest.approx(1.6, rel=0.01)
            assert abs(along @ down) < 0.02 * np.linalg.norm(along) * np.linalg.norm(down)

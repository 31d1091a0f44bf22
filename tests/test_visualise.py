"""What is drawn, and where."""

import cv2
import numpy as np
import pytest
import torch

from datasets.landmarks.batch import PointBatch
from models.landmarks.prediction import Prediction
from util.reporting.visualise import (
    LINE,
    PREDICTION,
    TRUTH,
    UNCERTAINTY,
    crop,
    fit,
    overlay,
    prediction_picture,
    write_png,
)

NAN = np.nan


def pixels_like(image: np.ndarray, colour: tuple[int, int, int], within: int = 0) -> np.ndarray:
    """(H, W) bool: pixels of this colour, each channel ``within`` so many levels."""
    return (np.abs(image.astype(int) - colour) <= within).all(-1)


def centroid(mask: np.ndarray) -> np.ndarray:
    """(x, y) continuous centre of a mask."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5])


def test_truth_is_red_and_prediction_green_at_their_points():
    image = np.full((400, 300), 90, np.uint8)
    predicted, truth = np.array([[60.5, 80.5], [200.5, 300.5]]), np.array([[160.5, 80.5], [200.5, 200.5]])
    drawn = overlay(image, predicted[:1], truth=truth[:1])
    np.testing.assert_allclose(centroid(pixels_like(drawn, PREDICTION)), predicted[0], atol=0.4)
    np.testing.assert_allclose(centroid(pixels_like(drawn, TRUTH)), truth[0], atol=0.4)
    assert pixels_like(drawn[80:81, 70:150], LINE, within=20).all()  # OpenCV smooths lines
    assert (image == 90).all()  # the image itself is left alone
    both = overlay(image, predicted, truth=truth)
    assert pixels_like(both[210:290, 200:201], LINE, within=20).all()


@pytest.mark.parametrize("point", [(50.0, 60.0), (50.3, 60.8), (50.5, 60.5)])
def test_a_point_is_drawn_where_it_is_to_a_fraction_of_a_pixel(point):
    light = overlay(np.zeros((400, 400), np.uint8), np.array([point])).sum(-1, dtype=np.float64)
    centre = [np.average(np.arange(400) + 0.5, weights=light.sum(axis)) for axis in (0, 1)]
    np.testing.assert_allclose(centre, point, atol=0.15)


def test_the_uncertainty_circle_has_its_radius():
    drawn = overlay(np.zeros((301, 301), np.uint8), np.array([[150.5, 150.5]]), radius=np.array([60.0]))
    rows, columns = np.nonzero(drawn[..., 2] > UNCERTAINTY[2] // 2)
    distance = np.hypot(columns + 0.5 - 150.5, rows + 0.5 - 150.5)
    assert len(distance) > 300  # 2 pi 60 = 377 on one pixel
    assert distance.min() > 58 and distance.max() < 62


def test_missing_points_are_not_drawn():
    image = np.zeros((100, 100), np.uint8)
    drawn = overlay(image, np.array([[NAN, NAN], [30.0, 30.0]]), truth=np.array([[20.0, 20.0], [NAN, NAN]]))
    assert pixels_like(drawn, TRUTH).any() and pixels_like(drawn, PREDICTION).any()
    assert not pixels_like(drawn, LINE, within=60).any()


def test_a_wild_prediction_is_drawn_at_the_border():
    wild = overlay(np.zeros((50, 80), np.uint8), np.array([[1e12, -1e12]]), radius=np.array([1e12]))
    assert pixels_like(wild, PREDICTION)[:5, -5:].any()


def test_crop_is_the_window_about_the_centre_and_black_outside():
    image = np.arange(1, 61, dtype=np.uint8).reshape(6, 10)
    np.testing.assert_array_equal(crop(image, np.array([4.5, 3.5]), 2), image[2:4, 3:5])
    corner = crop(image, np.array([0.5, 0.5]), 4)
    np.testing.assert_array_equal(corner[2:, 2:], image[:2, :2])
    assert (corner[:2] == 0).all() and (corner[:, :2] == 0).all()
    assert crop(image, np.array([900.0, -900.0]), 4).shape == (4, 4)


@pytest.mark.parametrize("side", [20, 200])
def test_fit_keeps_the_proportions(side):
    assert fit(np.zeros((60, 30, 3), np.uint8), side).shape == (side, side // 2, 3)


def test_prediction_picture_is_a_grid_of_canvases():
    count = 3
    batch = PointBatch(
        images=torch.full((count, 1, 80, 60), 0.5),
        points=torch.tensor([[[0.25, 0.25]]]).repeat(count, 1, 1),
        to_source=torch.eye(3, dtype=torch.float64).repeat(count, 1, 1),
        spacing=torch.ones(count, 2, dtype=torch.float64),
        cases=("a", "b", "c"),
    )
    points = torch.tensor([[[0.75, 0.5]]]).repeat(count, 1, 1).requires_grad_()
    picture = prediction_picture(batch, Prediction(points, torch.zeros_like(points)))
    assert picture.shape == (160, 120, 3) and picture.dtype == np.uint8
    tile = picture[:80, 60:]  # the second case
    np.testing.assert_allclose(centroid(pixels_like(tile, PREDICTION)), (45, 40), atol=0.6)
    np.testing.assert_allclose(centroid(pixels_like(tile, TRUTH)), (15, 20), atol=0.6)
    assert (picture[80:, 60:] == 0).all()  # no fourth case
    assert prediction_picture(batch, Prediction(points, points), limit=1).shape == (80, 60, 3)


def test_png_keeps_the_colours_and_leaves_nothing_else(tmp_path):
    image = np.zeros((4, 5, 3), np.uint8)
    image[1, 2] = (255, 128, 3)
    write_png(tmp_path / "deep" / "a.png", image)
    read = cv2.cvtColor(cv2.imread(str(tmp_path / "deep" / "a.png")), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(read, image)
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["a.png"]

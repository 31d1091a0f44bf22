"""Deformations: exact at points, the same for image and points, never folding."""

import cv2
import numpy as np
import pytest

from transforms import geometry
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.elastic import Deformation
from transforms.intensity import Intensity
from transforms.move import Move
from transforms.sample import PointSample

CANVAS = (104, 128)


@pytest.fixture
def deformation() -> Deformation:
    return Deformation.random(CANVAS, 26.0, 3.0, np.random.default_rng(3))


def spots(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Round spots at ``points`` on an image of (width, height)."""
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    squares = (x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2
    return (250.0 * np.exp(-squares / 18.0).max(0)).astype(np.uint8)


def centroid(image: np.ndarray, near: np.ndarray, reach: int = 9) -> np.ndarray:
    left, top = (np.floor(near).astype(int) - reach).clip(min=0)
    window = image[top : top + 2 * reach + 1, left : left + 2 * reach + 1].astype(float)
    y, x = np.mgrid[: window.shape[0], : window.shape[1]] + 0.5
    return np.array([(x * window).sum(), (y * window).sum()]) / window.sum() + (left, top)


def test_points_and_pixels_are_moved_alike(deformation):
    y, x = np.mgrid[: CANVAS[1], : CANVAS[0]] + 0.5
    moved = deformation(np.stack([x, y], -1).reshape(-1, 2)).reshape(CANVAS[1], CANVAS[0], 2)
    np.testing.assert_allclose(deformation.grid(CANVAS), moved, atol=1e-9)
    assert np.abs(moved - np.stack([x, y], -1)).max() > 2.0


def test_inverse_and_missing_points(deformation):
    points = np.array([[3.0, 4.0], [52.0, 64.0], [100.0, 120.0], [np.nan, np.nan]])
    np.testing.assert_allclose(deformation(deformation.inverse(points)), points, atol=1e-6)


def test_equal_displacements_are_a_shift():
    shift = Deformation(np.full((8, 8, 2), [2.0, -1.0]), 26.0)
    np.testing.assert_allclose(shift(np.array([[50.0, 60.0]])), [[52.0, 59.0]], atol=1e-9)


def test_the_strongest_deformation_does_not_fold():
    strong = Deformation.random(CANVAS, 26.0, 1e6, np.random.default_rng(0)).grid(CANVAS)
    along_x, along_y = np.diff(strong, axis=1)[:-1], np.diff(strong, axis=0)[:, :-1]
    area = along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0]
    assert area.min() > 0.0


def test_landmarks_stay_on_what_they_mark(deformation):
    points = np.array([[90.0, 80.0], [130.0, 200.0], [60.0, 230.0]])
    image = cv2.GaussianBlur(spots(points, (208, 256)), (0, 0), 1.0)
    sample = PointSample(
        image=image, points=points, spacing=np.array([0.5, 0.5]), to_source=np.eye(3), case="spots"
    )
    matrix = geometry.about(geometry.rotate(8.0), 52.0, 64.0) @ geometry.scale(0.5, 0.5)
    warped = sample.moved(Move(matrix, CANVAS, deformation))
    assert np.abs(warped.points - geometry.warp_points(points, matrix)).max() > 1.0
    for point in warped.points:
        np.testing.assert_allclose(centroid(warped.image, point), point, atol=0.35)


def test_no_deformation_is_the_matrix_alone():
    image = np.random.default_rng(0).integers(0, 256, (256, 208), np.uint8)
    sample = PointSample(
        image=image, points=np.array([[90.0, 80.0]]), spacing=np.ones(2), to_source=np.eye(3), case="noise"
    )
    matrix = geometry.about(geometry.rotate(5.0), 50.0, 60.0) @ geometry.scale(0.6, 0.6)
    still = sample.moved(Move(matrix, CANVAS, Deformation(np.zeros((8, 8, 2)), 26.0)))
    plain = sample.moved(Move(matrix, CANVAS))
    np.testing.assert_allclose(still.points, plain.points, atol=1e-9)
    assert np.abs(still.image.astype(int) - plain.image).max() <= 3  # OpenCV rounds places in two ways


def test_training_deforms_only_when_asked_to():
    image = np.random.default_rng(0).integers(0, 256, (128, 96), np.uint8)
    sample = PointSample(
        image=image,
        points=np.array([[30.0, 40.0], [60.0, 90.0]]),
        spacing=np.ones(2),
        to_source=np.eye(3),
        case="noise",
    )
    still = {"zoom": (1.0, 1.0), "rotation": 0.0, "shift": 0.0, "artefacts": 0.0, "intensity": Intensity(0.0)}
    upright = EvalTransforms((128, 96))(sample, np.random.default_rng(0))
    plain = TrainTransforms((128, 96), **still)(sample, np.random.default_rng(0))
    deformed = TrainTransforms((128, 96), elastic=0.02, **still)(sample, np.random.default_rng(0))
    np.testing.assert_allclose(plain.points, upright.points)
    assert np.abs(deformed.points - upright.points).max() > 0.5


@pytest.mark.parametrize("elastic", [-0.01, 0.06])
def test_a_share_out_of_range_is_refused(elastic):
    with pytest.raises(ValueError, match=f"elastic={elastic}: expected a share from 0 to 0.05"):
        TrainTransforms((128, 96), elastic=elastic)

"""Averaging over models and scales: by predicted variance, home in pixels of the whole image."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from datasets.image_files import SourceImage
from datasets.landmarks import LandmarkSet
from util.predict import ImageLandmarks
from util.test_time import Ensemble, ScaleAveraged, combine

SET = LandmarkSet("two", ("one", "other"), ("1", "2"))
UNKNOWN = np.full(2, np.nan)


class Fixed:
    """Answers every image with the same landmarks."""

    def __init__(
        self, points: list, error: float | list, labels: str = "mean", landmark_set: LandmarkSet = SET
    ):
        self.landmark_set, self.labels, self.file = landmark_set, labels, Path(f"{labels}.pt")
        self._points = np.array(points, np.float64)
        self._error = np.broadcast_to(np.asarray(error, np.float64), len(points)).copy()

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        return [ImageLandmarks(self._points, self._error, self._error * np.nan) for _ in images]


class Finder:
    """Finds landmark k at the only pixel of value 100 + k; remembers the images that it was shown."""

    landmark_set, labels, file = SET, "mean", Path("finder.pt")

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        self.seen += [image.image for image in images]
        return [ImageLandmarks(self._find(image.image), np.full(2, 0.2), UNKNOWN) for image in images]

    def _find(self, pixels: np.ndarray) -> np.ndarray:
        found = [np.argwhere(pixels == 100 + k) for k in range(2)]
        assert [len(places) for places in found] == [1, 1], "a landmark was cut away"
        return np.concatenate(found)[:, ::-1] + 0.5


def marked(width: int, height: int, *points: tuple[int, int], spacing: float = np.nan) -> SourceImage:
    """Grey 50 with the pixel of each landmark marked."""
    image = np.full((height, width), 50, np.uint8)
    for k, (x, y) in enumerate(points):
        image[y, x] = 100 + k
    return SourceImage(image, np.full(2, spacing), Path("x.png"), None)


def test_a_mixture_by_hand():
    """Variances 1 and 4: weights 4/5 and 1/5; means 2 and 7 apart by 5; variance 8/5 + 4/5 * 1 + 1/5 * 16."""
    sure = ImageLandmarks(np.array([[2.0, 0.0]]), np.array([1.0]), np.array([0.1]))
    vague = ImageLandmarks(np.array([[7.0, 0.0]]), np.array([2.0]), np.array([0.2]))
    found = combine([sure, vague], np.array([0.1, 0.1]))
    np.testing.assert_allclose(found.points, [[3.0, 0.0]])
    np.testing.assert_allclose(found.uncertainty_px, [math.sqrt(1.6 + 0.8 + 3.2)])
    np.testing.assert_allclose(found.uncertainty_mm, found.uncertainty_px * 0.1)
    assert np.isnan(combine([sure, vague], UNKNOWN).uncertainty_mm).all()


def test_equal_looks_change_nothing_and_their_order_does_not_matter():
    rng = np.random.default_rng(0)
    looks = [ImageLandmarks(rng.normal(size=(5, 2)), rng.uniform(1, 3, 5), np.ones(5)) for _ in range(3)]
    same = combine([looks[0]] * 3, UNKNOWN)
    np.testing.assert_allclose(same.points, looks[0].points)
    np.testing.assert_allclose(same.uncertainty_px, looks[0].uncertainty_px)
    one, other = combine(looks, UNKNOWN), combine(looks[::-1], UNKNOWN)
    np.testing.assert_allclose(one.points, other.points)
    np.testing.assert_allclose(one.uncertainty_px, other.uncertainty_px)


def test_each_landmark_has_its_own_weights():
    one = Fixed([[0, 0], [0, 0]], [1.0, 3.0], "senior")
    other = Fixed([[10, 0], [10, 0]], [3.0, 1.0], "junior")
    ensemble = Ensemble([one, other])
    assert ensemble.landmark_set == SET and ensemble.labels == "senior + junior"
    assert ensemble.file == Path("senior.pt") and Ensemble([one, one]).labels == "senior"
    first, second = ensemble([marked(20, 10), marked(20, 10)])
    np.testing.assert_allclose(first.points, [[1.0, 0.0], [9.0, 0.0]])
    np.testing.assert_array_equal(first.points, second.points)


def test_an_ensemble_is_of_one_landmark_set():
    swapped = LandmarkSet("swapped", ("other", "one"), ("2", "1"))
    with pytest.raises(ValueError, match=r"b\.pt: finds the landmarks of 'swapped', but a\.pt"):
        Ensemble([Fixed([[0, 0]] * 2, 1.0, "a"), Fixed([[0, 0]] * 2, 1.0, "b", swapped)])
    with pytest.raises(ValueError, match="no model"):
        Ensemble([])


@pytest.mark.parametrize("scale", [0.5, 0.77, 0.9, 1.0, 1.1, 1.3, 2.0])
@pytest.mark.parametrize(
    "points", [[(20, 30), (45, 60)], [(0, 0), (99, 119)], [(0, 119), (3, 117)], [(99, 0), (50, 50)]]
)
def test_every_scale_leads_back_to_the_same_pixels(scale, points):
    finder = Finder()
    images = [marked(100, 120, *points), marked(101, 77, *[(x, y * 76 // 119) for x, y in points])]
    for image, found in zip(images, ScaleAveraged(finder, [scale])(images), strict=True):
        expected = [np.argwhere(image.image == 100 + k)[0, ::-1] + 0.5 for k in range(2)]
        np.testing.assert_allclose(found.points, expected, atol=1e-9)
        np.testing.assert_allclose(found.uncertainty_px, 0.2)
    assert len(finder.seen) == (2 if scale == 1.0 else 4)


def test_a_window_is_as_small_as_the_scale_and_the_landmarks_allow():
    near, far = marked(100, 120, (40, 60), (60, 70)), marked(100, 120, (5, 60), (85, 70))
    finder = Finder()
    ScaleAveraged(finder, [2.0])([near, far])
    assert finder.seen[2].shape == (60, 50)  # half of the image, enlarged twice by the letterbox
    height, width = finder.seen[3].shape  # 81 columns and 5 % of room on either side
    assert 89 <= width <= 92 and height / width == pytest.approx(1.2, abs=0.02)


def test_room_is_left_for_a_landmark_that_is_not_sure():
    sure, vague = Fixed([[30, 40], [50, 60]], 0.1), Fixed([[30, 40], [50, 60]], [0.1, 12.0])
    shown = []
    for predictor in (sure, vague):
        recorded = Recorder(predictor)
        ScaleAveraged(recorded, [2.0])([marked(100, 120)])
        shown.append(recorded.seen[-1])
    assert shown[0].shape == (60, 50) and shown[1].shape[1] >= 72  # 3 * 12 on either side of 50


class Recorder:
    """A predictor that remembers the images that another was shown."""

    def __init__(self, predictor: Fixed) -> None:
        self.landmark_set, self.labels, self.file = predictor.landmark_set, predictor.labels, predictor.file
        self._predictor, self.seen = predictor, []

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        self.seen += [image.image for image in images]
        return self._predictor(images)


def test_a_small_scale_is_the_whole_image_in_black():
    finder, image = Finder(), marked(100, 120, (20, 30), (45, 60))
    ScaleAveraged(finder, [0.8])([image])
    assert finder.seen[1].shape == (150, 125)
    assert np.array_equal(finder.seen[1][15:135, 12:112], image.image)
    assert finder.seen[1].sum(dtype=int) == image.image.sum(dtype=int)


def test_predictions_far_outside_the_image_still_give_a_window():
    outside = Fixed([[-500.0, 900.0], [-480.0, 950.0]], 3.0)
    (found,) = ScaleAveraged(outside, [1.0, 1.5])([marked(100, 120)])
    assert np.isfinite(found.points).all()


@pytest.mark.parametrize("scales", [[], [0.0], [-1.0], [2.5], [math.nan], [1.0, 1.0], [math.inf]])
def test_scales_that_make_no_sense_are_refused(scales):
    with pytest.raises(ValueError, match="expected distinct numbers from 0.5 to 2.0"):
        ScaleAveraged(Finder(), scales)

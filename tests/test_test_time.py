"""Averaging over models, scales and crops: by predicted variance, home in pixels of the whole image."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from datasets.files.image_files import SourceImage
from datasets.landmarks.batch import collate
from datasets.landmarks.landmark_set import LandmarkSet
from datasets.loader import eval_loader
from datasets.prepared.prepared import PreparedDataset
from tasks.landmarks import LandmarkTask
from tests.support.centroid_model import write_centroid_checkpoint
from tests.support.run_script import TRUSTED
from transforms.augment import EvalTransforms
from util.checkpoints.checkpoint import load_model
from util.evaluation.landmarks.evaluate_predictor import evaluate_predictor
from util.prediction.landmarks.looks import Looks
from util.prediction.landmarks.predict import ImageLandmarks, LandmarkPredictor
from util.prediction.landmarks.test_time import Ensemble, ScaleAveraged, SelfCropped, combine
from util.training.engine import evaluate

SET = LandmarkSet("two", ("one", "other"), ("1", "2"))
UNKNOWN = np.full(2, np.nan)


class Fixed:
    """Answers every image with the same landmarks."""

    landmark_shapes = None

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

    landmark_set, labels, file, landmark_shapes = SET, "mean", Path("finder.pt"), None

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


def test_a_mixture_on_oblong_pixels_by_hand():
    """Pixels of 0.1 by 0.4 mm stand for squares of 0.2: along x the means are half as far from each other."""
    spacing = np.array([0.1, 0.4])
    sure = ImageLandmarks(np.array([[2.0, 0.0]]), np.array([1.0]), np.array([0.2]))
    vague = ImageLandmarks(np.array([[7.0, 0.0]]), np.array([2.0]), np.array([0.4]))
    np.testing.assert_allclose(combine([sure, sure], spacing).uncertainty_mm, sure.uncertainty_mm)
    found = combine([sure, vague], spacing)
    np.testing.assert_allclose(found.uncertainty_mm, [0.2 * math.sqrt(1.6 + 0.8 * 0.25 + 0.2 * 4.0)])


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

    landmark_shapes = None

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


@pytest.mark.parametrize(
    "points", [[(20, 30), (45, 60)], [(0, 0), (99, 119)], [(0, 119), (60, 117)], [(99, 0), (50, 50)]]
)
def test_a_crop_leads_back_to_the_same_pixels(points):
    finder, image = Finder(), marked(100, 120, *points)
    (found,) = SelfCropped(finder)([image])
    np.testing.assert_allclose(found.points, np.array(points) + 0.5, atol=1e-9)
    np.testing.assert_allclose(found.uncertainty_px, 0.2)
    assert len(finder.seen) == 2


def test_a_crop_is_the_landmarks_and_room_around_them_black_beyond_the_image():
    finder = Finder()
    inside, full = marked(100, 120, (30, 40), (60, 50)), marked(100, 120, (2, 2), (97, 117))
    SelfCropped(finder, margin=0.4)([inside, full])
    np.testing.assert_array_equal(finder.seen[2], inside.image[28:63, 18:73])  # 12 around 30.5 to 60.5
    assert finder.seen[3].shape == (208, 188)  # 46 around 2.5 to 97.5 and 2.5 to 117.5
    assert finder.seen[3].sum(dtype=int) == full.image.sum(dtype=int)


def test_a_crop_is_combined_with_the_first_look_unless_the_head_was_too_small_or_too_large_there():
    """The answer is the same in the crop's own pixels, so the second look lies off by the crop's corner."""
    points = np.array([[10, 10], [40, 20]])  # the crop is 54x34 pixels and begins at (-2, -2)
    cropped = SelfCropped(Fixed(points.tolist(), [1.0, 2.0]), margin=0.4)
    similar, small, large = cropped([marked(60, 42), marked(100, 120), marked(42, 30)])
    np.testing.assert_allclose(similar.points, points - 1)
    np.testing.assert_allclose(
        similar.uncertainty_px**2, [1 + 2, 4 + 2]
    )  # each look lies (1, 1) off the mean
    for replaced in (small, large):
        np.testing.assert_allclose(replaced.points, points - 2)
        np.testing.assert_array_equal(replaced.uncertainty_px, [1.0, 2.0])


@pytest.mark.parametrize(
    "points",
    [[[50, 60], [50, 60]], [[-500, 900], [-480, 950]], [[-400, 60], [500, 60]], [[1e7, 1e7], [-1e7, -1e7]]],
    ids=["one spot", "outside", "wider than the image", "far apart"],
)
def test_where_the_first_look_is_nonsense_it_stays_the_only_one(points):
    recorded = Recorder(Fixed(points, 3.0))
    (found,) = SelfCropped(recorded)([marked(100, 120)])
    np.testing.assert_array_equal(found.points, points)
    assert len(recorded.seen) == 1


def test_nonsense_on_one_image_of_a_batch_leaves_the_others_their_second_look():
    finder = Finder()
    near, apart = ((50, 60), (51, 60)), ((20, 30), (45, 60))
    images = [marked(100, 120, *points) for points in (near, apart, near)]
    found = SelfCropped(finder)(images)
    np.testing.assert_allclose([one.points for one in found], np.array([near, apart, near]) + 0.5)
    assert [shown.shape for shown in finder.seen[:3]] == [(120, 100)] * 3
    assert len(finder.seen) == 4 and finder.seen[3].shape != (120, 100)


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.5, math.nan])
def test_a_margin_that_makes_no_sense_is_refused(margin):
    with pytest.raises(ValueError, match="expected a share of the landmarks' extent"):
        SelfCropped(Finder(), margin)


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({}, 1),
        ({"scales": (0.9, 1.0, 1.1)}, 3),
        ({"scales": (0.9, 1.1)}, 3),
        ({"crop": True}, 2),
        ({"scales": (0.9, 1.0, 1.1), "crop": True}, 6),
    ],
)
def test_looks_cost_as_many_passes_of_each_model_as_the_docs_say(options, passes):
    looks, finders = Looks((Path("a.pt"), Path("b.pt")), **options), (Finder(), Finder())
    (found,) = looks.predictor(finders)([marked(100, 120, (20, 30), (45, 60))])
    np.testing.assert_allclose(found.points, [[20.5, 30.5], [45.5, 60.5]])
    assert [len(finder.seen) for finder in finders] == [passes, passes]


def test_looks_say_what_they_are():
    one, two = Looks((Path("a.pt"),)), Looks((Path("a.pt"), Path("b.pt")), (0.9, 1.0), crop=True)
    assert one.plain and one.to_dict() is None and str(one) == "a.pt"
    assert two.to_dict() == {"checkpoints": ["a.pt", "b.pt"], "scales": [0.9, 1.0], "crop": True}
    assert str(two) == "a.pt + b.pt, scales 0.9 1, self-crop" and not two.plain
    finder = Finder()
    assert one.predictor([finder]) is finder


def test_looks_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"runs/\.\./a\.pt: given twice"):
        Looks((Path("a.pt"), Path("b.pt"), Path("runs/../a.pt")))
    with pytest.raises(ValueError, match="expected distinct numbers"):
        Looks((Path("a.pt"),), scales=(0.0,))


def test_a_predictor_has_the_errors_that_its_model_has(tiny_prepared: Path, tmp_path: Path):
    """On a canvas with borders, and with a case that lacks a landmark."""
    size = (64, 96)
    dataset = PreparedDataset(tiny_prepared, "train", EvalTransforms(size))
    file = tmp_path / "best.pt"
    write_centroid_checkpoint(file, dataset.landmark_set, size=size, folder=tiny_prepared)
    loaded = load_model(file, packages=TRUSTED)
    expected = evaluate(
        LandmarkTask(), loaded.model, eval_loader(dataset, 2, workers=0, collate=collate), "cpu"
    )
    samples = (dataset.load(index) for index in range(len(dataset)))
    found = evaluate_predictor(LandmarkPredictor(loaded), samples, batch_size=2)
    assert found.cases == expected.cases
    np.testing.assert_allclose(found.predicted, expected.predicted, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found.truth, expected.truth, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(found.spacing, expected.spacing)
    np.testing.assert_allclose(found.uncertainty_mm, expected.uncertainty_mm, rtol=1e-5)
    assert np.isnan(found.radial_mm).sum() == 1


def test_an_evaluation_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no image was evaluated"):
        evaluate_predictor(Finder(), [], batch_size=2)

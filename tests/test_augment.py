"""Transforms: image and landmarks move together, there is a way back, and a draw can be repeated."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.support.small_detr import draw_blobs
from transforms import geometry
from transforms.artefacts import burn_in
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.geometry import scale
from transforms.intensity import Intensity
from transforms.multiscale import MultiScaleTransforms
from transforms.sample import PointSample
from util.training.augmentation import log_augmentation

SIZE = (320, 256)  # of the canvas: height, width
POINT = np.array([103.3, 121.8])


def blob_sample(size: tuple[int, int] = (231, 274), point: np.ndarray = POINT, to_source=None) -> PointSample:
    """One blob, wide enough for 8 bits, at landmark 0; landmark 1 is missing. ``size``: (width, height)."""
    image = draw_blobs(point[None], np.array([7.0]), size)
    return PointSample(
        image=np.round(240 * image).astype(np.uint8),
        points=np.array([point, [np.nan, np.nan]]),
        spacing=np.array([0.1, 0.1]),
        to_source=np.eye(3) if to_source is None else to_source,
        case="blob",
    )


def textured(seed: int = 0) -> PointSample:
    """An image with something to change everywhere."""
    image = np.random.default_rng(seed).integers(40, 200, (64, 64), np.uint8)
    return replace(
        blob_sample((64, 64), np.array([30.0, 20.0])),
        image=np.kron(image[::8, ::8], np.ones((8, 8), np.uint8)),
    )


def geometry_only(**ranges) -> TrainTransforms:
    return TrainTransforms(SIZE, intensity=Intensity(0.0), artefacts=0.0, **ranges)


def centroid(image: np.ndarray) -> np.ndarray:
    grey = image.astype(np.float64)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]] + 0.5
    return np.array([(grey * x).sum(), (grey * y).sum()]) / grey.sum()


@pytest.mark.parametrize("size", [(231, 274), (256, 320), (463, 350), (801, 999)])
def test_blob_and_landmark_stay_together_in_evaluation(size):
    point = POINT / (231, 274) * size
    moved = EvalTransforms(SIZE)(blob_sample(size, point), np.random.default_rng(0))
    assert moved.image.shape == SIZE and moved.image.dtype == np.uint8
    assert np.abs(centroid(moved.image) - moved.points[0]).max() < 0.05
    assert np.isnan(moved.points[1]).all()


@pytest.mark.parametrize("seed", range(8))
def test_blob_and_landmark_stay_together_in_training(seed):
    transforms = geometry_only(zoom=(0.5, 1.5), rotation=30.0)
    moved = transforms(blob_sample(), np.random.default_rng(seed))
    assert moved.image.shape == SIZE
    assert np.abs(centroid(moved.image) - moved.points[0]).max() < 0.05


@pytest.mark.parametrize("transforms", [EvalTransforms(SIZE), geometry_only()])
def test_the_way_back_leads_to_the_source(transforms):
    """Also where the image was already a reduced one: source pixels here are three times as small."""
    sample = blob_sample(to_source=scale(3.0, 3.0))
    for seed in range(3):
        moved = transforms(sample, np.random.default_rng(seed))
        assert np.allclose(moved.source_points[0], 3.0 * POINT, atol=1e-9)
        assert (moved.case, moved.spacing.tolist()) == (sample.case, sample.spacing.tolist())


def test_the_letterbox_shows_the_whole_image_in_the_middle_with_its_aspect():
    matrix = EvalTransforms((96, 64)).matrix(blob_sample((200, 150)))
    assert matrix == pytest.approx(np.array([[0.32, 0, 0], [0, 0.32, 24.0], [0, 0, 1]]))


@pytest.mark.parametrize("elastic", [0.0, 0.02])
def test_landmarks_that_training_moves_off_the_canvas_are_missing(elastic):
    """Those left are the ones that lie on the canvas, where they would lie anyway."""
    corners = np.array([[x, y] for x in (2.0, 125.0, 254.0) for y in (2.0, 160.0, 318.0)])
    sample = replace(blob_sample((256, 320)), points=np.vstack([corners, [np.nan, np.nan]]))
    transforms = geometry_only(elastic=elastic)
    left = []
    for seed in range(30):
        moved = transforms(sample, np.random.default_rng(seed))
        kept = ~np.isnan(moved.points).any(-1)
        assert ((moved.points[kept] >= 0) & (moved.points[kept] <= (256, 320))).all()
        if not elastic:  # then to_source says where each landmark would lie
            expected = geometry.warp_points(corners, np.linalg.inv(moved.to_source))
            inside = ((expected >= 0) & (expected <= (256, 320))).all(-1)
            assert np.array_equal(kept[:-1], inside)
            assert np.allclose(moved.points[:-1][inside], expected[inside])
        left.append(kept.sum())
    assert min(left) < 9 and max(left) == 9  # some draws lose landmarks, some none


def test_a_landmark_on_the_border_is_on_the_canvas():
    """Also one that matrices bring back to it with rounding: thirds have no exact floats."""
    border = np.array([[0.0, 0.0], [750.0, 0.0], [750.0, 937.0], [0.0, 430.1], [333.3, 937.0]])
    sample = replace(blob_sample((750, 937)), points=border)
    still = TrainTransforms(
        SIZE, zoom=(1.0, 1.0), rotation=0.0, shift=0.0, intensity=Intensity(0.0), artefacts=0.0
    )
    assert np.isfinite(still(sample, np.random.default_rng(0)).points).all()
    off = replace(sample, points=border + 0.01 * np.array([[-1, 0], [1, 0], [0, 1], [-1, 0], [0, 1]]))
    assert np.isnan(off.in_sight().points).all() and np.isfinite(sample.in_sight().points).all()


def test_the_ranges_are_those_asked_for():
    transforms = geometry_only(zoom=(0.8, 1.25), rotation=15.0, shift=0.05)
    sample, rng = blob_sample((256, 320), np.array([128.0, 160.0])), np.random.default_rng(0)
    matrices = np.stack([np.linalg.inv(transforms(sample, rng).to_source) for _ in range(60)])
    zoom = np.sqrt(np.linalg.det(matrices[:, :2, :2]))
    angle = np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    shift = (matrices @ [128.0, 160.0, 1.0])[:, :2] / (256, 320) - 0.5  # the centre of the canvas
    for values, low, high in ((zoom, 0.8, 1.25), (angle, -15, 15), (shift[:, 0], -0.05, 0.05)):
        assert (
            low <= values.min() < low + 0.1 * (high - low)
            and high - 0.1 * (high - low) < values.max() <= high
        )
    assert np.abs(np.median(np.log(zoom))) < 0.06  # as often smaller as larger


def test_a_draw_is_repeated_to_the_byte_and_another_draw_differs():
    transforms = TrainTransforms((64, 64), artefacts=0.5)
    sample = textured()

    def run(seed: int, draw: int, index: int) -> PointSample:
        return transforms(sample, np.random.default_rng([seed, draw, index]))

    first = [run(0, draw, 3) for draw in range(6)]
    again = [run(0, draw, 3) for draw in reversed(range(6))][::-1]  # the order of the calls does not matter
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.image, other.image) and np.array_equal(one.to_source, other.to_source)
    assert len({one.image.tobytes() for one in [*first, run(1, 0, 3), run(0, 0, 4)]}) == 8


def test_intensity_keeps_pixels_in_place_and_strength_zero_keeps_their_values():
    image = textured().image
    for seed in range(5):
        assert np.array_equal(Intensity(0.0)(image, np.random.default_rng(seed)), image)
    changed = [Intensity(1.0)(image, np.random.default_rng(seed)) for seed in range(5)]
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in changed)


def test_every_change_of_intensity_is_drawn_on_its_own():
    """Nothing happens with probability 0.3 * 0.3 * 0.9 * 0.8 * 0.7 * 0.9 * 0.95 = 4 %."""
    image, intensity = textured().image, Intensity(1.0)
    draws = [intensity(image, np.random.default_rng([0, draw])) for draw in range(200)]
    assert np.mean([np.array_equal(one, image) for one in draws]) < 0.1


def test_grain_is_the_size_of_the_noise_s_grains():
    """Neighbouring pixels of a noisy grey image differ less where the grains are larger than they."""
    image = np.full((64, 64), 128, np.uint8)

    def roughness(grain: float) -> float:
        """Mean squared difference of neighbours over twice the variance: 1 for white noise."""
        intensity = Intensity(1.0, grain=grain, cutout=0.0, invert=0.0)
        intensity.pixels.transforms[:4] = []  # all but the noise
        noisy = [intensity(image, np.random.default_rng(seed)).astype(float) for seed in range(40)]
        changed = [one for one in noisy if one.std() > 2]
        assert len(changed) > 4
        return float(np.mean([np.mean(np.diff(one) ** 2) / (2 * one.var()) for one in changed]))

    assert roughness(1.0) == pytest.approx(1.0, abs=0.1)
    assert roughness(2.0) < 0.6
    with pytest.raises(ValueError, match=r"grain=0.5"):
        Intensity(grain=0.5)


def test_a_hard_picture_has_soft_tissue_as_black_as_air():
    """In columns air at 10, soft tissue at 60 and bone at 180 of 255."""
    image = np.repeat(np.array([10, 60, 180], np.uint8), 16)[None].repeat(48, axis=0)

    def blackened(hard: float) -> int:
        intensity = Intensity(0.2, hard=hard, cutout=0.0, invert=0.0)
        drawn = np.stack([intensity(image, np.random.default_rng(seed)) for seed in range(60)])
        air, tissue, bone = np.median(drawn.reshape(60, 48, 3, 16).astype(float), axis=(1, 3)).T
        assert (bone - tissue).min() > 20  # bone is always to be seen
        return int((tissue - air < 8).sum())

    assert blackened(0.0) == 0
    assert blackened(1.0) > 15
    with pytest.raises(ValueError, match=r"hard=2.0"):
        Intensity(hard=2.0)


def test_artefacts_leave_the_image_they_are_given_alone():
    image = textured().image
    before = image.copy()
    burnt = [burn_in(image, np.random.default_rng(seed), 0.1) for seed in range(20)]
    assert np.array_equal(image, before)
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in burnt)
    assert sum(not np.array_equal(one, image) for one in burnt) >= 15


@pytest.mark.parametrize("size", [(100, 96), (96, 0), (-32, 64)])
def test_a_canvas_that_the_model_cannot_take_is_refused(size):
    for transforms in (EvalTransforms, TrainTransforms):
        with pytest.raises(ValueError, match=r"expected positive multiples of 32"):
            transforms(size)


def test_ranges_that_make_no_sense_are_refused():
    for zoom in ((1.2, 0.8), (0.0, 1.0)):
        with pytest.raises(ValueError, match=r"zoom=.*expected \(low, high\) with 0 < low <= high"):
            TrainTransforms(SIZE, zoom=zoom)
    for wrong in (partial(TrainTransforms, rotation=-10), partial(TrainTransforms, shift=-10)):
        with pytest.raises(ValueError, match=r"(rotation|shift)=-10: expected a number of at least 0"):
            wrong(SIZE)
    for strength in (-0.1, 2.5):
        with pytest.raises(ValueError, match=r"strength=.*from 0 to 2"):
            Intensity(strength)


def sided(pairs: tuple[tuple[int, int], ...]) -> PointSample:
    """A dark, a middle and a bright blob; the first and the last are left and right of each other."""
    points = np.array([[60.3, 50.8], [110.6, 120.2], [180.9, 200.5]])
    image = draw_blobs(points, np.array([6.0] * 3), (231, 274)) * 0
    for level, point in zip((80, 140, 240), points, strict=True):
        image = np.maximum(image, level * draw_blobs(point[None], np.array([6.0]), (231, 274)))
    return replace(blob_sample(), image=np.round(image).astype(np.uint8), points=points, pairs=pairs)


def test_a_flipped_picture_exchanges_the_names_of_its_pairs():
    plain, flipped = (
        geometry_only(zoom=(1.0, 1.0), rotation=0.0, shift=0.0, flip=flip)(
            sided(((0, 2),)), np.random.default_rng(0)
        )
        for flip in (0.0, 1.0)
    )
    mirrored = geometry.warp_points(plain.points, geometry.flip_x(SIZE[1]))
    np.testing.assert_allclose(flipped.points, mirrored[[2, 1, 0]], atol=1e-9)
    assert np.abs(flipped.image.astype(int) - plain.image[:, ::-1]).max() <= 2
    # the blob that was landmark 0, the darkest, carries the name of landmark 2 now
    greys = [flipped.image[int(y), int(x)] for x, y in flipped.points]
    assert greys[2] < greys[1] < greys[0]
    np.testing.assert_allclose(flipped.source_points, sided(()).points[[2, 1, 0]], atol=1e-9)


def test_a_missing_side_stays_missing_under_its_other_name():
    sample = replace(sided(((0, 2),)), points=np.array([[60.3, 50.8], [110.6, 120.2], [np.nan, np.nan]]))
    flipped = geometry_only(flip=1.0)(sample, np.random.default_rng(1))
    assert np.isnan(flipped.points).any(-1).tolist() == [True, False, False]


def test_a_set_without_pairs_refuses_a_mirror_image():
    with pytest.raises(ValueError, match=r"names no pairs.*flip=0"):
        geometry_only(flip=1.0)(sided(()), np.random.default_rng(0))


def test_what_is_drawn_is_said_by_name_and_value_and_what_is_off_is_not():
    drawn = TrainTransforms(
        SIZE,
        zoom=(0.85, 1.18),
        rotation=10.0,
        intensity=Intensity(0.5, invert=0.0, cutout=0.0, grain=2.0),
        artefacts=0.0,
    )
    said = "zoom 0.85 to 1.18, rotation 10, shift 0.05, intensity (strength 0.5, grain 2)"
    assert str(drawn) == said
    assert str(TrainTransforms(SIZE, flip=0.5)).endswith(
        "flip 0.5, intensity (strength 1, invert 0.05, cutout 0.1), artefacts 0.2"
    )
    assert str(geometry_only(zoom=(1.0, 1.0), rotation=0.0, shift=0.0)) == ""
    assert str(MultiScaleTransforms(crop=0.0)) == "shorts 480 to 800, flip 0.5"


def test_a_training_logs_what_it_draws_once(caplog):
    with caplog.at_level("INFO"):
        log_augmentation(TrainTransforms(SIZE, zoom=(1.0, 1.0), rotation=5.0))
        log_augmentation({"skull": geometry_only(zoom=(1.0, 1.0), rotation=0.0, shift=0.0), "own": print})
    first, *by_set = [record.getMessage() for record in caplog.records]
    assert first.startswith("augmentation: rotation 5, shift 0.05, ")
    assert by_set == [
        "augmentation of skull: none",
        "augmentation of own: builtin_function_or_method",
    ]

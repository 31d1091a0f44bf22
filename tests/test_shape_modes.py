"""Other shapes of a training set: drawn as they vary, warped without a fold, image and landmarks alike."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.shape_statistics import shape_modes
from datasets.landmarks.unit import LengthUnit
from datasets.prepared.prepared import PreparedCase, PreparedDataset, require_spacing, write_prepared
from tasks.landmarks import LandmarkTask
from tests.support.run_tool import run_tool
from tests.test_elastic import centroid, spots
from transforms import geometry
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.intensity import Intensity
from transforms.move import Move
from transforms.sample import PointSample, Sample
from transforms.shape_modes import ShapeModes
from transforms.thin_plate import ThinPlate

CANVAS = (128, 160)  # width, height
STILL = {"zoom": (1.0, 1.0), "rotation": 0.0, "shift": 0.0, "artefacts": 0.0, "intensity": Intensity(0.0)}


def ring(wide: float = 1.0, size: float = 40.0) -> np.ndarray:
    """(8, 2) landmarks of an ellipse in the middle of the canvas."""
    angles = np.arange(8) * np.pi / 4
    return np.array([64.0, 80.0]) + size * np.column_stack([wide * np.cos(angles), np.sin(angles) / wide])


def ellipses(count: int = 60) -> np.ndarray:
    """(N, K, 2) ellipses that differ in width by height; turned, shifted and of any size besides."""
    rng = np.random.default_rng(0)
    shapes = []
    for _ in range(count):
        turn = geometry.about(geometry.rotate(rng.uniform(-20, 20)), 64.0, 80.0)
        turn = geometry.translate(*rng.uniform(-9, 9, 2)) @ turn
        shapes.append(geometry.warp_points(ring(1.0 + 0.1 * rng.normal(), rng.uniform(25, 45)), turn))
    return np.stack(shapes)


def ring_sample(points: np.ndarray) -> PointSample:
    return PointSample(
        image=spots(points, CANVAS), points=points, spacing=np.ones(2), to_source=np.eye(3), case="ring"
    )


def warp(old: np.ndarray, new: np.ndarray) -> ThinPlate:
    plate = ThinPlate.between(old, new, CANVAS)
    assert plate is not None
    return plate


def test_what_varies_is_found_and_place_turn_and_size_are_not_part_of_it():
    modes = shape_modes(ellipses(), "here")
    variance = (modes.modes**2).sum((1, 2))
    assert variance[0] > 0.9 * variance.sum()
    straight = geometry.warp_points(ring(1.1), geometry.similarity(ring(1.1), modes.mean))
    assert abs(modes.coefficients(straight)[0]) == pytest.approx(1.0, abs=0.35)


def test_drawn_shapes_vary_as_the_measured_ones_at_every_share():
    shapes = ellipses(200)
    modes = shape_modes(shapes, "here")

    def spread(of: np.ndarray) -> float:
        laid = [geometry.warp_points(shape, geometry.similarity(shape, modes.mean)) for shape in of]
        return float(np.std([modes.coefficients(shape)[0] for shape in laid]))

    for share in (0.4, 1.0):
        rng = np.random.default_rng(1)
        drawn = np.stack([modes.draw(shape, share, rng) for shape in shapes])
        assert spread(drawn) == pytest.approx(spread(shapes), rel=0.15)
        assert np.linalg.norm(drawn - shapes, axis=-1).mean() > 0.5
    unchanged = modes.draw(shapes[0], 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(unchanged, shapes[0], atol=1e-9)


def test_a_draw_stays_where_the_shape_lies_and_missing_landmarks_stay_missing():
    modes = shape_modes(ellipses(), "here")
    points = geometry.warp_points(ring(), geometry.scale(3.0, 3.0))
    points[2] = np.nan
    drawn = modes.draw(points, 0.5, np.random.default_rng(0))
    assert np.isnan(drawn[2]).all()
    assert np.abs(np.nanmean(drawn - points, 0)).max() < 6.0
    nothing = np.full((8, 2), np.nan)
    assert np.isnan(modes.draw(nothing, 0.5, np.random.default_rng(0))).all()
    together = np.full((8, 2), 7.0)
    np.testing.assert_array_equal(modes.draw(together, 0.5, np.random.default_rng(0)), together)


def test_a_spline_is_exact_at_the_landmarks_and_affine_for_affine_ones():
    old = ring()
    new = old + np.random.default_rng(0).normal(0, 2.0, old.shape)
    plate = warp(old, new)
    np.testing.assert_allclose(plate.inverse(old), new, atol=1e-6)
    sheared = np.array([[1.1, 0.2, -3.0], [0.05, 0.9, 4.0], [0.0, 0.0, 1.0]])
    plate = warp(old, geometry.warp_points(old, sheared))
    anywhere = np.array([[3.0, 5.0], [120.0, 150.0], [np.nan, np.nan]])
    np.testing.assert_allclose(plate.inverse(anywhere), geometry.warp_points(anywhere, sheared), atol=1e-6)


@pytest.mark.parametrize("spread", [2.0, 8.0, 30.0])
def test_nothing_folds_and_every_point_has_a_way_back(spread):
    """Also where landmarks would change places, or two of them lie at one."""
    old = ring()
    old[1] = old[0]
    for seed in range(5):
        new = old + np.random.default_rng(seed).normal(0, spread, old.shape)
        plate = ThinPlate.between(old, new, CANVAS)
        if plate is None:
            assert spread > 10.0  # not even an affine mapping is tame
            continue
        places = plate.grid(CANVAS)
        along_x, along_y = np.diff(places, axis=1)[:-1], np.diff(places, axis=0)[:, :-1]
        area = along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0]
        assert area.min() > 0.25 and area.max() < 4.0
        np.testing.assert_allclose(plate.spline(plate.inverse(old)), old, atol=1e-6)


def test_pixels_and_points_are_moved_alike():
    plate = warp(ring(), ring(1.15))
    y, x = np.mgrid[: CANVAS[1], : CANVAS[0]] + 0.5
    moved = plate.spline(np.stack([x, y], -1).reshape(-1, 2)).reshape(CANVAS[1], CANVAS[0], 2)
    np.testing.assert_allclose(plate.grid(CANVAS), moved, atol=1e-2)


def test_landmarks_stay_on_what_they_mark():
    sample = ring_sample(ring(1.0, 35.0))
    plate = warp(sample.points, ring(1.2, 35.0))
    warped = sample.moved(Move(np.eye(3), CANVAS, plate))
    np.testing.assert_allclose(warped.points, ring(1.2, 35.0), atol=1e-6)
    for point in warped.points:
        np.testing.assert_allclose(centroid(warped.image, point), point, atol=0.5)


def test_training_warps_to_other_shapes_when_asked_to():
    sample = ring_sample(ring(1.0, 30.0))
    upright = EvalTransforms((160, 128))(sample, np.random.default_rng(0))
    transforms = TrainTransforms((160, 128), shape_modes=0.8, **STILL)
    with pytest.raises(ValueError, match="shape_modes=0.8: expected 0 here"):
        transforms(sample, np.random.default_rng(0))
    transforms.learn(shape_modes(ellipses(), "here"))
    with pytest.raises(ValueError, match="Only landmarks have shapes"):
        transforms(
            Sample(image=sample.image, spacing=np.ones(2), to_source=np.eye(3), case="no landmarks"),
            np.random.default_rng(0),
        )
    warped = transforms(sample, np.random.default_rng(0))
    assert np.abs(warped.points - upright.points).max() > 0.5
    again = transforms(sample, np.random.default_rng(0))
    np.testing.assert_array_equal(warped.image, again.image)
    lacking = replace(sample, points=np.where(np.arange(8)[:, None] < 6, np.nan, sample.points))
    assert np.isfinite(transforms(lacking, np.random.default_rng(0)).points).sum() == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape_modes": 1.1}, "shape_modes=1.1: expected a share from 0 to 1"),
        ({"shape_modes": 0.5, "elastic": 0.01}, "expected one of the two"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainTransforms((160, 128), **settings)


def test_too_little_to_tell_how_shapes_vary_is_refused():
    shapes = ellipses(10)
    shapes[4:, 0] = np.nan
    with pytest.raises(
        ValueError, match=r"data/mine: 4 of 10 images have all 8 landmarks, expected at least 5"
    ):
        shape_modes(shapes, "data/mine")
    with pytest.raises(ValueError, match=r"data/mine: 5 landmarks, expected at least 6"):
        shape_modes(ellipses(10)[:, :5], "data/mine")


def test_shapes_that_do_not_vary_stay_as_they_are():
    modes = ShapeModes(mean=ring(), modes=np.zeros((1, 8, 2)), residual=0.1)
    np.testing.assert_allclose(modes.draw(ring(), 1.0, np.random.default_rng(0)), ring(), atol=1e-9)


def prepared(folder: Path, shapes: np.ndarray | None = None, unit: LengthUnit | None = None) -> Path:
    names = tuple(f"point {number}" for number in range(8))
    cases = [
        PreparedCase(f"ring{n}", spots(points, CANVAS), points, np.array([0.2, 0.2]), f"ring{n}.png", CANVAS)
        for n, points in enumerate(ellipses(6) if shapes is None else shapes)
    ]
    write_prepared(
        folder,
        {"train": cases[:-1], "val": cases[-1:]},
        landmark_set=LandmarkSet("ring", names, names),
        labels="exact",
        created_by="test",
        source_files={},
        unit=unit,
    )
    return folder


def test_a_training_set_teaches_its_transforms(tmp_path):
    folder = prepared(tmp_path / "data")
    data = LandmarkTask().open_data(folder, "train", TrainTransforms((160, 128), shape_modes=0.8, **STILL))
    upright = PreparedDataset(folder, "train", EvalTransforms((160, 128)))
    assert max(np.abs(data[n].points - upright[n].points).max() for n in range(len(data))) > 0.5
    with pytest.raises(ValueError, match=r"'val': 1 of 1 images have all 8 landmarks, expected at least 5"):
        PreparedDataset(folder, "val", TrainTransforms((160, 128), shape_modes=0.8))


def test_variations_are_a_folder_to_train_on(tmp_path):
    folder, output = prepared(tmp_path / "data"), tmp_path / "variations"
    tool = ("tools/prepare_variations.py", "--data", folder, "--output", output, "--count", 12)
    done = run_tool(*tool)
    assert done.returncode == 0, done.stderr
    assert "12 variations of 5 images" in done.stdout
    header = json.loads((output / "dataset.json").read_text())
    assert header["persons"]["ring1_variation00006"] == "ring1"
    assert header["variations_of"]["folder"] == "data" and len(header["source_files"]) == 5
    made, source = PreparedDataset(output, "train"), PreparedDataset(folder, "train")
    assert len(made) == 12 and list(header["split"]) == ["train"]
    for index in range(12):
        sample = made.load(index)
        for point in sample.points[np.isfinite(sample.points).all(-1)]:
            np.testing.assert_allclose(centroid(sample.image, point), point, atol=0.6)
    assert np.nanmax(np.abs(made.source_points[:5] - source.source_points)) > 0.5
    wrong = run_tool(*tool[:4], tmp_path / "o", "--subset", "val", "--shape-modes", 0.5)
    assert wrong.returncode == 1 and "--subset val: expected train" in wrong.stderr


def test_variations_show_the_length_that_errors_are_told_in(tmp_path):
    """Rings that nearly fill the image: a wider one would lose the two points whose distance is 100 %."""
    rings = np.stack([ring(wide, 60.7) for wide in np.linspace(1.05, 0.87, 7)])
    folder = prepared(tmp_path / "data", rings, LengthUnit(("point 0", "point 4")))
    tool = ("tools/prepare_variations.py", "--data", folder, "--output", tmp_path / "o", "--count", 24)
    done = run_tool(*tool)
    assert done.returncode == 0, done.stderr
    require_spacing(PreparedDataset(tmp_path / "o", "train"))

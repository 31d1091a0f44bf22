"""Phantoms: exact, reproducible, and drawn so that the picture says where each landmark is."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from datasets.phantoms.anatomy import anatomy
from datasets.phantoms.drawing import Structure, attenuation_map, ellipse, smooth
from datasets.phantoms.phantom import Phantom
from datasets.phantoms.shape import Face, load_statistics, place
from datasets.prepared.prepared import PreparedDataset
from datasets.prepared.splits import split_by_image
from tests.support.run_tool import run_tool


@pytest.fixture(scope="module")
def cases():
    phantom = Phantom(size=128, seed=3)
    return [phantom.case(index) for index in range(60)]


def attenuation_of(points_mm: np.ndarray) -> np.ndarray:
    """(480, 400) attenuation of one anatomy at 0.5 mm/px."""
    face = Face.of(points_mm, Phantom().landmark_set)
    return attenuation_map(anatomy(face, np.random.default_rng(5)), (400, 480), 0.5)


def test_a_case_depends_on_seed_and_index_alone():
    first, again = Phantom(160, seed=1).case(4), Phantom(160, seed=1)
    again.case(0)
    repeated = again.case(4)
    np.testing.assert_array_equal(first.image, repeated.image)
    np.testing.assert_array_equal(first.points, repeated.points)
    for other in (Phantom(160, seed=1).case(5), Phantom(160, seed=2).case(4)):
        assert np.nanmax(np.abs(other.points - first.points)) > 1.0
        assert not np.array_equal(other.image, first.image)


def test_another_size_shows_the_same_head():
    small, large = Phantom(320, seed=7).case(2), Phantom(640, seed=7).case(2)
    np.testing.assert_allclose(large.points, 2.0 * small.points, rtol=1e-12)
    np.testing.assert_allclose(large.spacing, small.spacing / 2.0, rtol=1e-12)
    shrunk = large.image.reshape(320, 2, 258, 2).mean((1, 3))
    assert np.corrcoef(shrunk.ravel(), small.image.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, 0.0), (0.45, -0.7)])
def test_a_shape_is_drawn_where_it_is_said_to_be(shift):
    centre_mm = np.array([20.0, 15.0]) + np.array(shift) * 0.5
    disc = ellipse(centre_mm, np.array([6.0, 0.0]), np.array([0.0, 4.0]))
    for width in (None, 1.0):
        drawn = attenuation_map([Structure(disc, 1.0, width=width)], (80, 60), 0.5)
        columns, rows = np.arange(80) + 0.5, np.arange(60) + 0.5
        centroid = np.array([drawn.sum(0) @ columns, drawn.sum(1) @ rows]) / drawn.sum()
        np.testing.assert_allclose(centroid, centre_mm / 0.5, atol=0.04)


def test_the_whole_head_moves_with_its_landmarks():
    # this head leaves the film outside of what is compared; the edge cuts others elsewhere when they move
    points = place(
        load_statistics(), np.random.default_rng(2), width_mm=193.5, height_mm=240.0, margin_mm=8.0
    )
    moved = attenuation_of(points + np.array([1.5, -2.0]))  # 3 and -4 pixels
    expected = np.roll(attenuation_of(points), (-4, 3), (0, 1))
    np.testing.assert_allclose(moved[80:-80, 80:-80], expected[80:-80, 80:-80], atol=1e-3)


def test_every_landmark_shapes_the_picture_around_it():
    points = place(
        load_statistics(), np.random.default_rng(1), width_mm=193.5, height_mm=240.0, margin_mm=8.0
    )
    before = attenuation_of(points)
    for index, name in enumerate(Phantom().landmark_set.landmarks):
        moved = points.copy()
        moved[index] += (0.4, 0.4)
        column, row = (points[index] / 0.5).astype(int)
        window = slice(max(row - 5, 0), row + 6), slice(max(column - 5, 0), column + 6)
        change = np.abs(attenuation_of(moved)[window] - before[window]).max()
        assert change > 0.02, f"{name}: moving it by 0.57 mm changes its surroundings by {change:.4f} only"


def test_a_curve_passes_through_its_points_and_turns_at_an_extreme():
    knots = np.array([[0.0, 0.0], [3.0, 1.0], [4.0, 3.0], [2.0, 5.0], [2.5, 8.0]])
    curve = smooth(knots, corners=(3,))
    distances = np.linalg.norm(curve[:, None] - knots, axis=-1).min(0)
    np.testing.assert_allclose(distances, 0.0, atol=1e-9)
    assert curve[:, 0].max() == pytest.approx(4.0)


def test_the_mean_shape_is_a_bad_guess(cases):
    points = np.stack([case.points * case.spacing for case in cases])
    errors = np.linalg.norm(points - np.nanmean(points, axis=0), axis=-1)
    assert np.nanmean(errors) > 8.0


def test_landmarks_are_inside_and_some_are_missing(cases):
    for case in cases:
        height, width = case.image.shape
        present = case.points[~np.isnan(case.points).any(-1)]
        assert (present > 0).all() and (present < [width, height]).all()
    missing = np.isnan(np.stack([case.points for case in cases])).any(-1)
    assert 0.01 < missing.mean() < 0.03
    assert not np.isnan(Phantom(64, missing=0.0).case(0).points).any()


def test_films_use_the_grey_range_without_burning_out(cases):
    for case in cases:
        low, high = np.percentile(case.image, [5, 95])
        assert high - low > 40, f"{case.name}: 5th to 95th percentile {low} to {high}"
        assert np.mean(case.image == 255) < 0.05 and np.mean(case.image == 0) < 0.25


@pytest.mark.parametrize(
    ("arguments", "named"), [({"size": 20}, "20"), ({"seed": -1}, "-1"), ({"missing": 1.0}, "1")]
)
def test_a_bad_argument_is_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        Phantom(**arguments)


def test_prepared_phantoms_do_not_depend_on_the_number_of_processes(tmp_path):
    counts = ("--train", 5, "--val", 1, "--test", 2, "--size", 128, "--missing", 0.0)
    for processes in (1, 2):
        done = run_tool(
            "tools/prepare_phantom.py",
            "--output",
            tmp_path / f"p{processes}",
            *counts,
            "--processes",
            processes,
        )
        assert done.returncode == 0, done.stderr
    files = sorted(path.relative_to(tmp_path / "p1") for path in (tmp_path / "p1").rglob("*.*"))
    assert len(files) == 8 + 2 * 3 + 1
    for file in files:
        assert (tmp_path / "p1" / file).read_bytes() == (tmp_path / "p2" / file).read_bytes(), file
    sample, case = PreparedDataset(tmp_path / "p1", "test").load(1), Phantom(128, missing=0.0).case(7)
    np.testing.assert_array_equal(sample.image, case.image)
    np.testing.assert_allclose(sample.points, case.points, atol=1e-3)

    again = run_tool("tools/prepare_phantom.py", "--output", tmp_path / "p1", *counts)
    assert again.returncode != 0 and str(tmp_path / "p1") in again.stderr and "Traceback" not in again.stderr

    measured = tmp_path / "statistics.json"
    done = run_tool("tools/measure_landmark_statistics.py", "--data", tmp_path / "p1", "--output", measured)
    assert done.returncode == 0, done.stderr
    points = np.stack([case.points * case.spacing for case in map(Phantom(128, missing=0.0).case, range(8))])
    expected = (points - points.mean(1, keepdims=True)).mean(0)
    np.testing.assert_allclose(json.loads(measured.read_text())["mean_mm"], expected, atol=2e-3)

    names = PreparedDataset(tmp_path / "p1", "train").cases[1:4]
    chosen = tmp_path / "cases.txt"
    chosen.write_text("\n".join(names))
    measure = ("tools/measure_landmark_statistics.py", "--data", tmp_path / "p1", "--cases", chosen)
    done = run_tool(*measure, "--output", measured)
    assert done.returncode == 0 and load_statistics(measured).cases == names, done.stderr
    expected = (points - points.mean(1, keepdims=True))[1:4].mean(0)
    np.testing.assert_allclose(load_statistics(measured).mean_mm, expected, atol=2e-3)
    for text, named in (("nobody", "nobody"), ("", "--cases")):
        chosen.write_text(text)
        done = run_tool(*measure, "--output", tmp_path / "none.json")
        assert done.returncode != 0 and named in done.stderr and "Traceback" not in done.stderr
        assert not (tmp_path / "none.json").exists()


def test_the_statistics_hold_no_image_of_the_38_landmarks_test_split():
    """The split of docs/ledger.md: 198 images, 40 of them held out."""
    names = [f"{number:03d}" for number in range(1, 199)]
    split = split_by_image(names, {"train": 138, "val": 20, "test": 40}, seed=2023)
    measured = set(load_statistics().cases)
    assert len(measured) == 69 and measured <= set(names)
    assert measured.isdisjoint(split["test"])


@pytest.mark.real_data
def test_the_statistics_hold_no_image_of_the_19_landmarks_test_set():
    if "CEPHDETR_REAL_DATA" not in os.environ:
        pytest.skip("CEPHDETR_REAL_DATA is not set: the folder that holds cl_detection2023/")
    with open(Path(os.environ["CEPHDETR_REAL_DATA"]) / "cl_detection2023/slices.csv", newline="") as rows:
        images = {int(row["slice"]): row["image"] for row in csv.DictReader(rows)}
    measured = [images[int(case)] for case in load_statistics().cases]
    assert all("/TrainingData/" in image for image in measured), measured


def test_the_tool_refuses_an_empty_split(tmp_path):
    done = run_tool("tools/prepare_phantom.py", "--output", tmp_path / "p", "--val", 0)
    assert done.returncode != 0 and "--val 0" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "p").exists()

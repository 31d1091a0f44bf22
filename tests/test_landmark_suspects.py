"""Wrong labels come first, sound ones are left alone, and a picture shows where they were expected."""

import csv
import json

import numpy as np
import pytest

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.suspects import label_scores
from datasets.landmarks.unit import LengthUnit
from datasets.prepared.prepared import INDEX_TO_CONTINUOUS, PreparedCase, PreparedDataset, write_prepared
from tests.support.run_tool import run_tool

COUNT, LANDMARKS = 40, 14
NAMES = [f"point {k}" for k in range(LANDMARKS)]


def turned_shapes(seed: int = 0) -> np.ndarray:
    """(N, K, 2) pixels: a row of pairs, noisy, turned, shifted and of many sizes."""
    rng = np.random.default_rng(seed)
    base = np.stack([np.tile([-1.0, 1.0], LANDMARKS // 2), np.repeat(np.arange(LANDMARKS // 2), 2)], -1)
    shapes = []
    for _ in range(COUNT):
        angle, size = rng.uniform(-0.3, 0.3), rng.uniform(8, 12)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (base + rng.normal(0, 0.05, base.shape)) * size
        shapes.append(points @ turn.T + rng.uniform(60, 100, 2))
    return np.array(shapes)


def test_wrong_labels_come_first_and_are_told_what_they_are():
    shapes = turned_shapes()
    shapes[3, 7] += [0.0, 25.0]  # elsewhere
    shapes[8, [4, 5]] = shapes[8, [5, 4]]  # sides exchanged
    shapes[20, 6:] = shapes[20, 4:-2]  # slipped by one from here on: two pairs at one place
    shapes[30, 2] = np.nan  # missing: nothing to suspect
    scores = label_scores(shapes)
    assert set(scores.ranked()[:3]) == {3, 8, 20}
    assert scores.of_images[scores.ranked()[3]] < 0.7 * scores.of_images[scores.ranked()[2]]
    assert scores.of_labels[3].argmax() == 7
    assert scores.reason(3, 7, NAMES) == "lies far from where its neighbours have it"
    assert set(np.argsort(-scores.of_labels[8])[:2]) == {4, 5}
    crowded = int(scores.closeness[20].argmax())
    assert scores.reason(20, crowded, NAMES).startswith("lies at point ")
    assert scores.of_labels[30, 2] == 0.0


def test_the_expected_place_is_in_the_images_own_pixels():
    shapes = turned_shapes()
    true = shapes[3, 7].copy()
    shapes[3, 7] += [0.0, 25.0]
    assert np.linalg.norm(label_scores(shapes).expected[3, 7] - true) < 2.5


def test_nothing_depends_on_place_turn_and_size_of_an_image():
    shapes = turned_shapes()
    plain = label_scores(shapes)
    shapes[5] = shapes[5] @ np.array([[0.0, -3.0], [3.0, 0.0]]) + 500.0
    np.testing.assert_allclose(label_scores(shapes).of_labels, plain.of_labels, rtol=0.05, atol=0.2)


def test_small_sets_are_compared_at_one_size():
    """Films that were scanned at half the size have no wrong labels for that."""
    rng = np.random.default_rng(0)
    base = np.array([[20.0, 20.0], [80.0, 25.0], [75.0, 90.0], [25.0, 85.0]])
    sizes = np.where(np.arange(60) % 10 == 0, 5.0, 10.0)
    shapes = sizes[:, None, None] * (base + rng.normal(0.0, 1.0, (60, 4, 2)))
    shapes[3, 1] += [0.0, 120.0]
    shapes[4, 2] = np.nan
    scores = label_scores(shapes)
    assert scores.ranked()[0] == 3 and scores.of_labels[3].argmax() == 1
    assert scores.of_images[::10].max() < 0.7 * scores.of_images[3]
    assert np.linalg.norm(scores.expected[3, 1] - (shapes[3, 1] - [0.0, 120.0])) < 40.0


def test_predictions_raise_what_shapes_cannot_tell():
    shapes = turned_shapes()
    errors = np.random.default_rng(1).uniform(0.5, 1.5, shapes.shape[:2])
    errors[12] = 30.0  # the whole image slipped: its shape is sound
    errors[13] = np.nan  # no prediction
    scores = label_scores(shapes, errors)
    assert scores.ranked()[0] == 12 and scores.reason(12, 0, NAMES) == "lies far from the prediction"
    assert (scores.prediction[13] == 0.0).all()


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="do not tell what is usual"):
        label_scores(turned_shapes()[:5])


@pytest.fixture
def folder(tmp_path):
    shapes = turned_shapes()
    shapes[3, 7] += [0.0, 25.0]
    shapes[5, 5:] = np.nan  # too few are left
    rng = np.random.default_rng(0)
    cases = [
        PreparedCase(
            f"case{n}",
            rng.integers(0, 255, (240, 200), np.uint8),
            points,
            np.full(2, np.nan),
            "x.png",
            (200, 240),
        )
        for n, points in enumerate(shapes)
    ]
    write_prepared(
        tmp_path / "data",
        {"train": cases[:30], "val": cases[30:]},
        landmark_set=LandmarkSet("row", tuple(NAMES), tuple(NAMES)),
        labels="me",
        created_by="test",
        source_files={},
        unit=LengthUnit("image height"),
    )
    return tmp_path / "data"


def test_the_tool_writes_a_table_a_record_and_sheets(tmp_path, folder):
    output = tmp_path / "suspects"
    done = run_tool("tools/find_suspect_labels.py", "--data", folder, "--output", output, "--count", 20)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("1 with fewer than 6 landmarks are not judged: case5\n")
    rows = list(csv.DictReader((output / "suspects.csv").open()))
    assert rows[0]["case"] == "case3" and "point 7 lies far" in rows[0]["what"] and len(rows) == 20
    record = json.loads((output / "suspects.json").read_text())
    assert len(record["images"]) == COUNT and record["images"][0]["labels"][0]["landmark"] == "point 7"
    assert sorted(file.name for file in output.glob("*.png")) == ["sheet_01.png", "sheet_02.png"]
    again = run_tool("tools/find_suspect_labels.py", "--data", folder, "--output", output)
    assert again.returncode == 1 and "not empty" in again.stderr


@pytest.mark.parametrize(
    ("truth", "names", "files", "message"),
    [
        (1, NAMES, ("a", "b"), "'case1' was predicted before"),
        (2, NAMES, ("a",), "'case1' has other labels by now"),
        (1, NAMES[::-1], ("a",), "other landmarks than those of the folder"),
    ],
)
def test_predictions_that_do_not_fit_the_folder_are_refused(tmp_path, folder, truth, names, files, message):
    labels = PreparedDataset(folder, "train").source_points[truth] - INDEX_TO_CONTINUOUS
    content = {
        "cases": ["case1"],
        "points": {"predicted": [labels.tolist()], "truth": [labels.tolist()]},
        "spacing_mm": [[1.0, 1.0]],
        "uncertainty_mm": [[1.0]],
        "errors_mm": [[1.0] * LANDMARKS],
        "landmark_set": {"landmarks": names},
    }
    predictions = [tmp_path / f"{name}.json" for name in files]
    for file in predictions:
        file.write_text(json.dumps(content))
    done = run_tool(
        *("tools/find_suspect_labels.py", "--data", folder, "--output", tmp_path / "o"),
        *("--predictions", *predictions),
    )
    assert done.returncode == 1 and message in done.stderr

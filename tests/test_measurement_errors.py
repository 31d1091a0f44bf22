"""Errors of measurements against readers: rates, calibration, files, commands."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from datasets.landmarks.cl_detection2023 import read_annotations
from datasets.landmarks.exports.readers import read_export
from datasets.landmarks.landmark_set import LandmarkSet, load_landmark_set
from datasets.prepared.prepared import PreparedCase, write_prepared
from measurements.analysis import load_analysis
from measurements.evaluate import measure
from measurements.rates import agreement
from measurements.shapes import LandmarkShapes, isotropic, shipped_shapes
from tests.support.faces import E2
from tests.support.run_tool import run_tool
from util.evaluation.landmarks.evaluation import LandmarkEvaluation
from util.evaluation.landmarks.measurement_errors import class_reliability, measurement_errors
from util.evaluation.landmarks.metrics import Errors, json_ready, summarise
from util.evaluation.landmarks.prediction_file import errors_of_file, shapes_of_file
from util.evaluation.landmarks.readers import against_readers, errors_between_readers, without_repeats

ISBI19 = load_landmark_set("isbi19")
INDEX = {name: k for k, name in enumerate(ISBI19.abbreviations)}
SPACING = 0.5
FACE = E2[:19] / SPACING  # pixels
OFFSET = np.array([3.0, -1.0])  # pixels, of the second reader at every landmark but sella and nasion


def faces(count: int = 12, seed: int = 0) -> np.ndarray:
    return FACE + np.random.default_rng(seed).normal(0, 4, (count, 19, 2))


def folder_of(folder: Path, points: np.ndarray, *, labels: str) -> Path:
    """Films t00, t01, ... in test; and one in train that is not of them."""
    rng = np.random.default_rng(3)
    images = [rng.integers(0, 256, (420, 360)).astype(np.uint8) for _ in range(len(points) + 1)]

    def case(name: str, image: np.ndarray, places: np.ndarray) -> PreparedCase:
        return PreparedCase(name, image, places, np.full(2, SPACING), f"{name}.png", (360, 420))

    write_prepared(
        folder,
        {
            "train": [case("train", images[-1], FACE)],
            "test": [
                case(f"t{n:02d}", image, places)
                for n, (image, places) in enumerate(zip(images, points, strict=False))
            ],
        },
        landmark_set=ISBI19,
        labels=labels,
        created_by="test",
        source_files={},
    )
    return folder


def predictions(points: np.ndarray, truth: np.ndarray, *, uncertainty: float = 1.0) -> Errors:
    count = len(points)
    return Errors(
        cases=tuple(f"t{n:02d}" for n in range(count)),
        predicted=points,
        truth=truth,
        spacing=np.full((count, 2), SPACING),
        uncertainty_mm=np.full((count, 19), uncertainty),
    )


def written(file: Path, errors: Errors) -> Path:
    """As test.py --json writes it: index coordinates, null where missing."""
    points = {"predicted": errors.predicted - 0.5, "truth": errors.truth - 0.5}
    content = {
        "landmark_set": ISBI19.to_dict(),
        "cases": list(errors.cases),
        "spacing_mm": json_ready(errors.spacing),
        "uncertainty_mm": json_ready(errors.uncertainty_mm),
        "points": {name: json_ready(values) for name, values in points.items()},
    }
    file.write_text(json.dumps(content))
    return file


def test_rates_are_not_accuracy() -> None:
    manual = np.array([0, 0, 0, 0, 1, 1, 2, -1])
    automatic = np.array([0, 0, 0, 1, 1, 0, 2, 2])
    found = agreement(manual, automatic)
    assert found.count == 7 and found.accuracy == pytest.approx(5 / 7)
    assert found.by_manual == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert found.by_automatic == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    swapped = agreement(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]))
    assert swapped.by_manual == pytest.approx(2 / 3) and swapped.by_automatic == pytest.approx(2 / 3)
    lopsided = agreement(np.array([0, 0, 1, 1, 1]), np.array([0, 0, 0, 0, 1]))
    assert lopsided.by_manual == pytest.approx(2 / 3) and lopsided.by_automatic == pytest.approx(3 / 4)
    assert lopsided.script_rate("FHI") == lopsided.by_automatic
    assert lopsided.script_rate("ANB") == lopsided.by_manual
    assert np.isnan(agreement(np.array([-1]), np.array([0])).accuracy)


def test_an_uncertainty_that_is_right_is_found_right() -> None:
    rng = np.random.default_rng(1)
    truth = faces(400)
    noise_px = 1.2 / np.sqrt(2) / SPACING  # rms radial error 1.2 mm
    errors = predictions(truth + rng.normal(0, noise_px, truth.shape), truth, uncertainty=1.2)
    parts = measurement_errors(errors, load_analysis("isbi2015"), INDEX, isotropic(ISBI19.abbreviations))
    for part in parts:
        found = part.to_dict()
        assert found["as_labelled"]["rms_z"] == pytest.approx(1.0, abs=0.12)
        assert found["without_offset"]["rms_z"] == pytest.approx(1.0, abs=0.12)
        if part.measurement.code != "MW ISBI":  # whose errors are of two kinds, by its sign
            assert found["as_labelled"]["within_95_percent"] == pytest.approx(95, abs=3.5)
        low, high = found["mean_absolute_error_ci95"]
        assert low < found["mean_absolute_error"] < high
    for group in class_reliability(parts):
        if group["decisions"] > 150:
            assert group["right_percent"] == pytest.approx(group["said_percent"], abs=10)
    assert sum(group["decisions"] for group in class_reliability(parts)) == 8 * 400


def test_an_offset_of_the_labels_is_told_apart() -> None:
    truth = faces(60)
    moved = truth.copy()
    moved[:, INDEX["A"]] += [6.0, 0.0]
    errors = predictions(moved + np.random.default_rng(2).normal(0, 0.2, truth.shape), truth, uncertainty=1.0)
    sna = measurement_errors(errors, load_analysis("isbi2015"), INDEX, isotropic(ISBI19.abbreviations))[
        2
    ].to_dict()
    assert sna["mean_error"] > 2 and sna["as_labelled"]["rms_z"] > 3 * sna["without_offset"]["rms_z"]


def test_one_image_and_missing_landmarks() -> None:
    truth = faces(3)
    truth[:2, INDEX["A"]] = np.nan
    errors = predictions(faces(3, seed=4), truth)
    anb = measurement_errors(errors, load_analysis("isbi2015"), INDEX, isotropic(ISBI19.abbreviations))[
        0
    ].to_dict()
    assert anb["count"] == 1 and anb["sd_error"] is None and anb["without_offset"]["rms_z"] is None
    truth[:, INDEX["A"]] = np.nan
    anb = measurement_errors(errors, load_analysis("isbi2015"), INDEX, isotropic(ISBI19.abbreviations))[
        0
    ].to_dict()
    assert (
        anb["count"] == 0
        and anb["mean_absolute_error"] is None
        and anb["classes"]["accuracy_percent"] is None
    )


def test_a_file_of_predictions_comes_back(tmp_path: Path) -> None:
    truth = faces(4)
    truth[1, 3] = np.nan
    errors = predictions(faces(4, seed=1), truth)
    again, _ = errors_of_file(written(tmp_path / "t.json", errors))
    assert again.cases == errors.cases
    for name in ("predicted", "truth", "spacing", "uncertainty_mm"):
        np.testing.assert_allclose(getattr(again, name), getattr(errors, name), atol=1e-9)


def test_a_file_of_predictions_says_the_shapes_of_its_model(tmp_path: Path) -> None:
    carried = LandmarkShapes(
        ("S", "N"), np.array([[-1.0, 0], [1, 0]]), np.array([[[1.5, 0], [0, 0.5]]] * 2), "ours"
    )
    errors = predictions(faces(), faces(seed=1))
    evaluation = LandmarkEvaluation(
        errors=errors,
        summary=summarise(errors),
        landmark_set=ISBI19,
        labels="a",
        checkpoint=Path("best.pt"),
        folder=tmp_path,
        subset="test",
        landmark_shapes=carried.to_dict(),
    )
    (tmp_path / "t.json").write_text(json.dumps(evaluation.to_dict()))
    found = shapes_of_file(tmp_path / "t.json")
    assert found.source == "ours" and found.names == ("S", "N")
    np.testing.assert_array_equal(found.matrices, carried.matrices)
    without = shapes_of_file(written(tmp_path / "older.json", errors))
    assert without.source == shipped_shapes().source


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cases": []}'])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(ValueError, match="t.json: not the landmarks of an evaluation"):
        errors_of_file(tmp_path / "t.json")
    with pytest.raises(ValueError, match="not found"):
        errors_of_file(tmp_path / "u.json")


def test_a_picture_in_the_place_of_predictions_or_labels_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(b"\xff\xd8" * 1000)
    for read in (errors_of_file, partial(read_export, "coco"), read_annotations):
        with pytest.raises(ValueError, match="x.json") as refused:
            read(file)
        assert len(str(refused.value)) < 300 + len(str(file))


def test_readers_case_by_case(tmp_path: Path) -> None:
    first, second = faces(), faces() + OFFSET
    first[0, 2] = np.nan
    one, other = folder_of(tmp_path / "a", first, labels="a"), folder_of(tmp_path / "b", second, labels="b")
    between = errors_between_readers(one, other, "test")
    assert np.isnan(between.truth[0, 2]).all() and np.isnan(between.uncertainty_mm).all()
    np.testing.assert_allclose(np.nanmean(between.vectors_mm, axis=(0, 1)), -OFFSET * SPACING, atol=1e-3)
    errors = predictions(second, first)
    np.testing.assert_allclose(against_readers(errors, other, ISBI19).radial_mm, 0.0, atol=1e-3)
    assert len(without_repeats(errors, one).cases) == 12
    header = json.loads((one / "dataset.json").read_text())
    (one / "dataset.json").write_text(json.dumps({**header, "repeats": [["t03", "train"]]}))
    assert "t03" not in without_repeats(errors, one).cases
    few = folder_of(tmp_path / "c", first[:2], labels="c")
    with pytest.raises(ValueError, match="lacks the cases"):
        against_readers(errors, few, ISBI19)
    header = json.loads((other / "dataset.json").read_text())
    exchanged = header["landmark_set"] | {"landmarks": list(ISBI19.landmarks[::-1]), "name": "mine"}
    with pytest.raises(ValueError, match="the 19 landmarks of 'isbi19', expected the 19 of 'mine' in their"):
        against_readers(errors, other, LandmarkSet.from_dict(exchanged, source="x"))


def test_the_measurements_tool(tmp_path: Path) -> None:
    truth = faces()
    one, other = (
        folder_of(tmp_path / "a", truth, labels="a"),
        folder_of(tmp_path / "b", truth + OFFSET, labels="b"),
    )
    file = written(tmp_path / "t.json", predictions(faces(seed=0) + 0.5, truth))
    json_file = tmp_path / "m.json"
    options = ("--predictions", file, "--against", other, "--analysis", "isbi2015", "tweed")
    ended = run_tool("tools/evaluate_measurements.py", *options, "--json", json_file)
    assert ended.returncode == 0, ended.stderr
    assert "success rate %, the script" in ended.stdout and "| FMA" in ended.stdout
    rows = [line for line in ended.stdout.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {11, 5, 4}  # ten columns, four and three
    numbers = json.loads(json_file.read_text())
    assert len(numbers["isbi2015"]["measurements"]) == 8 and len(numbers["isbi2015"]["mean"]) == 3
    assert sum(group["decisions"] for group in numbers["isbi2015"]["class_reliability"]) == 8 * 12
    readers = run_tool("tools/evaluate_measurements.py", "--readers", one, other, "--analysis", "isbi2015")
    assert readers.returncode == 0, readers.stderr
    assert "said %" not in readers.stdout and "| ANB" in readers.stdout
    unmarked = truth.copy()
    unmarked[:, INDEX["B"]] = np.nan
    file = written(tmp_path / "u.json", predictions(faces(seed=0), unmarked))
    ended = run_tool("tools/evaluate_measurements.py", "--predictions", file, "--analysis", "isbi2015")
    assert ended.returncode == 0, ended.stderr  # what needs it has no rate, and no part in the mean
    none = run_tool("tools/evaluate_measurements.py", "--repeats", one, "--analysis", "isbi2015")
    assert none.returncode == 1 and "no X-ray comes twice" in none.stderr
    header = json.loads((one / "dataset.json").read_text())
    (one / "dataset.json").write_text(json.dumps({**header, "repeats": [["t00", "t01"], ["t02", "t03"]]}))
    twice = run_tool(
        "tools/evaluate_measurements.py", "--repeats", one, "--analysis", "isbi2015", "--json", json_file
    )
    assert twice.returncode == 0 and "2 images" in twice.stdout, twice.stderr
    places = faces() * SPACING
    anb = measure(load_analysis("isbi2015"), places[:4], INDEX).values[:, 0]
    first = json.loads(json_file.read_text())["isbi2015"]["measurements"][0]
    assert first["mean_error"] == pytest.approx(np.mean([anb[1] - anb[0], anb[3] - anb[2]]), abs=0.02)


def test_the_protocols_tool(tmp_path: Path) -> None:
    truth = faces()
    one, other = (
        folder_of(tmp_path / "a", truth, labels="a"),
        folder_of(tmp_path / "b", truth + OFFSET, labels="b"),
    )
    file = written(
        tmp_path / "t.json", predictions(truth + np.random.default_rng(1).normal(0, 0.5, truth.shape), truth)
    )
    outputs = (
        "--json",
        tmp_path / "p.json",
        "--figure",
        tmp_path / "p.png",
        "--films",
        1,
        5,
        40,
        "--draws",
        3,
    )
    scenarios = ("--scenario", "to b", file, other, "--scenario", "a to b", file, other, file, one)
    ended = run_tool("tools/evaluate_protocols.py", *scenarios, *outputs)
    assert ended.returncode == 0, ended.stderr
    rows = json.loads((tmp_path / "p.json").read_text())
    assert [row["scenario"] for row in rows] == ["to b", "a to b"]
    assert [one["films"] for one in rows[0]["films"]] == [1, 5]  # 40 films are not there
    assert rows[0]["films"][1]["mre_mm"] < 0.5 * rows[0]["before"]["mre_mm"]
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    wrong = run_tool("tools/evaluate_protocols.py", "--scenario", "x", file)
    assert wrong.returncode == 2 and "NAME PREDICTIONS FOLDER" in wrong.stderr

"""Agreement of readers: the numbers against hand-computed ones, and the command on made-up readings."""

import json
from pathlib import Path

import numpy as np
import pytest

from datasets.landmarks.landmark_set import load_landmark_set
from measurements.analysis import load_analysis
from measurements.reader_agreement import agreed, intraclass_correlation, kappa
from tests.support.faces import E2
from tests.support.run_tool import run_tool
from util.evaluation.landmarks.reader_comparison import compare
from util.evaluation.landmarks.readings import pair_readers, read_reading

LANDMARKS = load_landmark_set("isbi19")

# Shrout & Fleiss (1979), table 2: six things, four judges; ICC(2,1) is 0.29.
JUDGED = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)


def test_the_intraclass_correlation_is_that_of_its_authors() -> None:
    assert intraclass_correlation(JUDGED) == pytest.approx(0.29, abs=0.005)
    assert intraclass_correlation(np.repeat(JUDGED[:, :1], 2, axis=1)) == pytest.approx(1.0)
    assert np.isnan(intraclass_correlation(JUDGED[:1]))


def test_bias_limits_and_dahlberg_by_hand() -> None:
    found = agreed(np.array([1.0, 2.0, 3.0, np.nan]), np.array([2.0, 2.0, 5.0, 1.0]))  # differences 1, 0, 2
    assert (found.count, found.bias, found.sd) == (3, pytest.approx(1.0), pytest.approx(1.0))
    assert (found.low, found.high) == (pytest.approx(-0.96), pytest.approx(2.96))
    assert found.dahlberg == pytest.approx(np.sqrt(5 / 6))
    assert agreed(np.array([np.nan]), np.array([1.0])).to_dict()["bias"] is None


def test_kappa_by_hand() -> None:
    # agree on 3 of 4; by chance 0.5 * 0.25 + 0.5 * 0.75 = 0.5
    assert kappa(np.array([0, 0, 1, 1, -1]), np.array([0, 1, 1, 1, 1])) == pytest.approx(0.5)
    assert np.isnan(kappa(np.array([1, 1]), np.array([1, 1])))


def write_reading(
    file: Path, reader: str, shifts: dict[tuple[str, int], float], *, spacing: float = 0.5, width: int = 800
) -> Path:
    """Every landmark ``shift`` mm to the right, of films of 0.5 mm a pixel that are read as of ``spacing``; a
    film is (name, 1 for shown again).
    """
    images = []
    for (name, repeat), shift in shifts.items():
        size = 1.0 + 0.01 * int(name[-1])  # films differ, so that readings correlate
        places = (E2[:19] * size + [shift, 0.0]) / 0.5
        rows = [
            {"name": landmark, "x": x, "y": y, "state": "moved", "reader": reader}
            for landmark, (x, y) in zip(LANDMARKS.landmarks, places.tolist(), strict=True)
        ]
        rows[3] |= {"state": "predicted"}  # nobody has looked at porion
        images.append(
            {"file": f"/anywhere/{reader}/{name}", "slice": None, "repeat": repeat, "landmarks": rows}
            | {"spacing_mm": [spacing, spacing], "width": width, "height": 1000}
        )
    content = {"model": {"landmark_set": "isbi19", "reviewed_by": [reader]}, "images": images}
    file.write_text(json.dumps(content))
    return file


def test_readers_are_compared_with_each_other_and_with_themselves(tmp_path: Path) -> None:
    films = {(f"film{number}", 0): 0.0 for number in range(4)}
    one = write_reading(tmp_path / "one.json", "AB", films | {("film2", 1): 0.25})
    other = write_reading(tmp_path / "other.json", "CD", dict.fromkeys(films, 1.5))
    ended = run_tool(
        "tools/compare_readers.py",
        *("--readings", one, other, "--analysis", "isbi2015"),
        *("--json", tmp_path / "all.json", "--report", tmp_path / "all.html"),
    )
    assert ended.returncode == 0, ended.stderr
    assert "AB and CD: 4 films, 1.50 mm apart" in ended.stdout
    two, again = json.loads((tmp_path / "all.json").read_text())["comparisons"]
    nasion = two["landmarks"][1]
    assert nasion["x"]["bias"] == pytest.approx(1.5) and nasion["y"]["bias"] == pytest.approx(0.0)
    assert nasion["x"]["sd"] == pytest.approx(0.0, abs=1e-9)
    assert nasion["x"]["dahlberg"] == pytest.approx(1.5 / np.sqrt(2))
    assert two["landmarks"][3]["x"]["count"] == 0  # a prediction is no reading
    anb = next(one for one in two["measurements"] if one["code"] == "ANB")
    assert anb["bias"] == pytest.approx(0.0, abs=1e-9) and anb["classes"]["agree_percent"] == 100.0
    assert again["films"] == ["film2"] and again["mean_distance_mm"] == pytest.approx(0.25)
    report = (tmp_path / "all.html").read_text()
    assert report.count("<img") == 5 and "http" not in report  # the other three need porion


def test_another_millimetre_moves_no_landmark_but_lengths(tmp_path: Path) -> None:
    films = {(f"film{number}", 0): 0.0 for number in range(3)}
    readings = [
        read_reading(write_reading(tmp_path / f"{reader}.json", reader, films, spacing=spacing))
        for reader, spacing in (("AB", 0.5), ("CD", 0.51))
    ]
    found = compare(pair_readers(*readings), [load_analysis("steiner")])
    assert found.mean_distance == 0.0
    bias = {one.measurement.code: one.agreed.bias for one in found.measurements}
    assert bias["ANB"] == pytest.approx(0.0, abs=1e-9)
    length = next(one for one in found.measurements if one.measurement.code == "U1-NA mm")
    assert length.values[1] == pytest.approx(1.02 * length.values[0])


def test_a_film_of_unknown_millimetre_has_angles(tmp_path: Path) -> None:
    films = {(f"film{number}", 0): 0.0 for number in range(3)}
    readings = []
    for reader, unknown in (("AB", (2,)), ("CD", (0, 1))):
        file = write_reading(tmp_path / f"{reader}.json", reader, films)
        content = json.loads(file.read_text())
        for number in unknown:
            content["images"][number]["spacing_mm"] = None
        file.write_text(json.dumps(content))
        readings.append(read_reading(file))
    found = compare(pair_readers(*readings), [load_analysis("steiner")])
    agreed = {one.measurement.code: one.agreed for one in found.measurements}
    assert agreed["ANB"].count == 3 and agreed["ANB"].bias == pytest.approx(0.0, abs=1e-9)
    assert agreed["U1-NA mm"].count == 0 and np.isnan(found.mean_distance)
    assert found.to_dict()["mean_distance_mm"] is None and "none with both" in found.apart


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    one = write_reading(tmp_path / "one.json", "AB", {("film1", 0): 0.0})
    other = write_reading(tmp_path / "other.json", "CD", {("film2", 0): 0.0})
    assert "no film in common" in run_tool("tools/compare_readers.py", "--readings", one, other).stderr
    assert "shown no film twice" in run_tool("tools/compare_readers.py", "--readings", one).stderr
    half = write_reading(tmp_path / "half.json", "EF", {("film1", 0): 0.0}, width=400)
    assert "400x1000 pixels" in run_tool("tools/compare_readers.py", "--readings", one, half).stderr
    plain = json.loads(one.read_text())
    for row in plain["images"][0]["landmarks"]:
        del row["state"]
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    ended = run_tool("tools/compare_readers.py", "--readings", tmp_path / "plain.json")
    assert "no states of landmarks" in ended.stderr and ended.returncode != 0

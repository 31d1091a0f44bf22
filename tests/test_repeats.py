"""The same X-ray under two names is found, written down, warned of, and told apart in the numbers."""

import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.landmarks.unit import LengthUnit
from datasets.phantoms.phantom import Phantom
from datasets.prepared.prepared import PreparedCase, PreparedDataset, write_prepared
from datasets.prepared.repeats import SAME, find_repeats, fingerprint
from tests.support.run_tool import run_tool


@pytest.fixture(scope="module")
def films() -> list[PreparedCase]:
    phantom = Phantom(size=192, seed=4, missing=0.0)
    return [phantom.case(index) for index in range(6)]


def moved(case: PreparedCase, name: str, millimetres: float) -> PreparedCase:
    """The same picture a little brighter, marked again ``millimetres`` to the right of the first marking."""
    image = cv2.convertScaleAbs(case.image, alpha=0.7, beta=30)
    right = np.array([millimetres / case.spacing[0], 0.0])
    return replace(case, name=name, image=image, points=case.points + right)


def prepare(folder: Path, cases: dict[str, list[PreparedCase]], unit: LengthUnit | None = None) -> Path:
    write_prepared(
        folder,
        cases,
        landmark_set=Phantom().landmark_set,
        labels="exact",
        created_by="test",
        source_files={},
        seed=0,
        unit=unit,
    )
    return folder


@pytest.fixture
def folder(tmp_path, films) -> Path:
    """Of six films the first is in train and test, the fifth in val and test, the last in test twice."""
    one, two, three, four, five, six = films
    again = [moved(one, "one-again", 1.0), moved(five, "five-again", 2.0)]
    twice = [moved(six, "six-again", 3.0)]
    return prepare(
        tmp_path / "data", {"train": [one, two, three, four], "val": [five], "test": [six, *again, *twice]}
    )


def test_exposure_and_size_hide_no_repeat_and_no_two_heads_are_one(films):
    prints = {case.name: fingerprint(case.image) for case in films}
    first = films[0].image
    prints["window"] = fingerprint(np.clip(first * 1.6 - 40.0, 0, 255).astype(np.uint8))
    prints["gamma"] = fingerprint((255 * (first / 255.0) ** 2).astype(np.uint8))
    prints["large"] = fingerprint(cv2.resize(first, None, fx=3.0, fy=3.0, interpolation=cv2.INTER_CUBIC))
    prints["flat"] = fingerprint(np.full_like(first, 90))
    prints["flat too"] = fingerprint(np.full_like(first, 30))
    found = find_repeats(prints)
    same = (films[0].name, "window", "gamma", "large")
    assert set(found) == {(a, b) for i, a in enumerate(same) for b in same[i + 1 :]}
    assert max(prints[a.name] @ prints[b.name] for a in films for b in films if a is not b) < SAME - 0.1


def test_a_folder_says_which_cases_are_not_unseen(folder, films):
    one, *_, five, six = (case.name for case in films)
    header = json.loads((folder / "dataset.json").read_text())
    assert header["repeats"] == [[one, "one-again"], [five, "five-again"], [six, "six-again"]]
    assert PreparedDataset(folder, "test").repeated == ("one-again", "five-again")  # six: in test only
    assert PreparedDataset(folder, "train").repeated == ()
    del header["repeats"]  # a folder of before
    (folder / "dataset.json").write_text(json.dumps(header))
    assert PreparedDataset(folder, "test").repeated == ()


def test_what_a_few_images_of_train_leave_out_counts_as_seen(tmp_path, films):
    copies = [moved(case, f"{case.name}-again", 1.0) for case in films]
    folder = prepare(tmp_path / "data", {"train": [*films, *copies]})
    pairs = json.loads((folder / "dataset.json").read_text())["repeats"]
    twin = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    assert len(twin) == 12
    part = PreparedDataset(folder, "train:5")
    assert set(part.repeated) == {case for case in part.cases if twin[case] not in part.cases}


def test_only_repeats_across_splits_are_warned_of(tmp_path, films, caplog):
    one, two, *_ = films
    with caplog.at_level(logging.WARNING):
        prepare(tmp_path / "within", {"train": [one, moved(one, "one-again", 1.0)], "test": [two]})
        assert not caplog.records
        prepare(tmp_path / "across", {"train": [one], "test": [moved(one, "one-again", 1.0), two]})
    (record,) = caplog.records
    text = record.getMessage()
    assert str(tmp_path / "across") in text and f"{one.name} (train) = one-again (test)" in text


def test_the_tool_measures_two_markings_of_one_film(folder, tmp_path):
    done = run_tool("tools/measure_repeatability.py", "--data", folder, "--json", tmp_path / "numbers.json")
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert numbers["apart"]["mre_mm"] == pytest.approx(2.0, abs=1e-3)  # 1, 2 and 3 mm
    assert numbers["bound"]["mre_mm"] == pytest.approx(2.0 / np.sqrt(2), abs=1e-3)
    assert len(numbers["pairs"]) == 3 and "3 X-rays" in done.stdout

    header = json.loads((folder / "dataset.json").read_text())
    for repeats, named in (([], "no X-ray comes twice"), (None, "prepare it anew")):
        header["repeats"] = repeats
        (folder / "dataset.json").write_text(json.dumps(header))
        done = run_tool("tools/measure_repeatability.py", "--data", folder)
        assert done.returncode != 0 and named in done.stderr and str(folder) in done.stderr
        assert "Traceback" not in done.stderr


def test_the_tool_measures_in_the_unit_of_the_folder(tmp_path, films):
    one, two, *_ = (replace(film, spacing=np.full(2, np.nan)) for film in films)
    again = replace(moved(films[0], "again", 1.0), spacing=one.spacing)
    folder = prepare(tmp_path / "data", {"train": [one, two], "test": [again]}, LengthUnit("image height"))
    done = run_tool("tools/measure_repeatability.py", "--data", folder, "--json", tmp_path / "numbers.json")
    assert done.returncode == 0, done.stderr
    apart = 100.0 / films[0].spacing[0] / films[0].image.shape[0]  # 1 mm
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert numbers["apart"]["mre_percent_of_length"] == pytest.approx(apart, abs=1e-3)
    assert "% of the image height (" in done.stdout and "mm" not in done.stdout


def test_the_tool_names_a_repeat_of_unknown_spacing(tmp_path, films):
    one, two, *_ = films
    again = replace(moved(one, "again", 1.0), spacing=np.full(2, np.nan))
    folder = prepare(tmp_path / "data", {"train": [one, two], "test": [again]})
    done = run_tool("tools/measure_repeatability.py", "--data", folder)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert f"{folder}: spacing of again unknown" in done.stderr


@pytest.mark.real_data
def test_isbi_2015_shows_twenty_x_rays_on_both_sides():
    if "CEPHDETR_REAL_DATA" not in os.environ:
        pytest.skip("CEPHDETR_REAL_DATA is not set: the folder that holds isbi2015/")
    raw = Path(os.environ["CEPHDETR_REAL_DATA"]) / "isbi2015/RawImage"
    prints = {}
    for file in sorted(raw.glob("*/*.jpg"), key=lambda file: file.stem):
        image = cv2.imread(str(file), cv2.IMREAD_REDUCED_GRAYSCALE_4)
        assert image is not None, file
        prints[file.stem] = fingerprint(image)
    found = find_repeats(prints)
    assert len(prints) == 300 and len(found) == 23
    assert sum(int(a) <= 150 < int(b) for a, b in found) == 20

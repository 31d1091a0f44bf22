"""What can be taken out of a review: each kind of file, read back as those read it who get it."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest

from datasets.landmarks.exports.matching import match, prepared_case
from datasets.landmarks.exports.readers import read_export
from datasets.prepared.prepared import PreparedDataset
from review_page.films import list_films
from tests.support.review import (
    LANDMARKS,
    Page,
    face,
    make_films,
    measurer,
    reviewed,
    wanted,
    write_predictions,
)
from tests.support.run_tool import run_tool
from tests.support.smoke_checkpoint import write_smoke_checkpoint
from tests.support.xray_files import write_dicom
from util.checkpoints.checkpoint import load_checkpoint
from util.prediction.landmarks.measuring import read_landmark_file

_STUDY = {
    "Modality": "DX",
    "PatientID": "1",
    "PatientName": "A^B",
    "PatientBirthDate": "",
    "PatientSex": "",
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3.4",
    "StudyDate": "20260101",
    "StudyTime": "120000",
    "StudyID": "",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
}


def exported(page: Page, kind: str) -> dict:
    answer = page.client.post(f"/api/export/{kind}", json={})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("kind", ["prepared", "report", "mrk", "sr"])
def test_without_a_reviewed_film_there_is_nothing_to_write(tmp_path: Path, kind: str) -> None:
    with reviewed(tmp_path) as page:
        answer = page.client.post(f"/api/export/{kind}", json={})
        assert answer.status_code == 400 and "reviewed" in answer.json()["error"]
    assert not any((tmp_path / "review/exports").iterdir())


def test_a_prepared_folder_holds_the_readers_labels_and_the_reviewed_films_alone(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        page.done({"kind": "state", "index": 2, "state": "not visible"}, number=1)
        page.review(1, moved=1.5)
        (name,) = exported(page, "prepared")["files"]
    data = PreparedDataset(tmp_path / "review/exports" / name, "train")
    assert len(data) == 1 and data.labels == "AB" and data.landmark_set.landmarks == LANDMARKS.landmarks
    sample = data[0]
    seen = [index for index in range(19) if index != 2]
    assert sample.points[seen] == pytest.approx(face(1)[seen] + [1.5 + 0.5, 0.5], abs=1e-3)
    assert np.isnan(sample.points[2]).all()
    assert sample.spacing.tolist() == [1.0, 1.0]
    film = cv2.imread(str(tmp_path / "films/film1.png"), cv2.IMREAD_GRAYSCALE)
    assert (sample.image == film).all()


def test_markups_lie_on_the_film_in_slicer_and_come_back(tmp_path: Path) -> None:
    """For Slicer a PNG has 1 mm a pixel, whatever a reader has measured on it."""
    with reviewed(tmp_path) as page:
        page.done({"kind": "state", "index": 0, "state": "not visible"})
        page.review(0)
        page.done({"kind": "calibrate", "one": [0, 10], "two": [0, 110], "mm": 50, "all_cases": False})
        (name,) = exported(page, "mrk")["files"]
    written = tmp_path / "review/exports" / name
    (markup,) = json.loads(written.read_text())["markups"]
    assert markup["coordinateSystem"] == "LPS" and markup["coordinateUnits"] == "mm"
    points = markup["controlPoints"]
    assert [point["label"] for point in points] == list(LANDMARKS.abbreviations)
    assert points[1]["position"] == pytest.approx([*face(0)[1], 0.0])
    assert points[0]["positionStatus"] == "undefined" and points[1]["positionStatus"] == "defined"
    film = tmp_path / "films/film0.png"
    export = read_export("slicer", written.rename(tmp_path / "film0.mrk.json"))
    back = prepared_case(
        film, match(export, [film], LANDMARKS, folder=film.parent).pairs[film], LANDMARKS, "film0",
        tool="slicer", convention="index", spacing=[0.5],
    )  # fmt: skip
    assert back.points[1:] == pytest.approx(face(0)[1:] + 0.5) and np.isnan(back.points[0]).all()


def test_markups_have_the_millimetres_of_the_file_where_it_says_them(tmp_path: Path) -> None:
    write_dicom_film(tmp_path, whole=False, PixelSpacing=[0.2, 0.1])
    with reviewed(tmp_path, spacing=[0.3]) as page:
        page.review(0)
        (name,) = exported(page, "mrk")["files"]
    (markup,) = json.loads((tmp_path / "review/exports" / name).read_text())["markups"]
    places = [point["position"][:2] for point in markup["controlPoints"]]
    assert np.array(places) == pytest.approx(face(0) * [0.1, 0.2])


def test_the_report_is_one_file_that_says_what_was_done_and_asks_for_nothing(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        page.done({"kind": "flag", "flagged": True, "note": "<b>motion</b>"})
        page.review(0, moved=2.0)
        (name,) = exported(page, "report")["files"]
    text = (tmp_path / "review/exports" / name).read_text()
    for words in ("film0.png", "2.00 mm", "nasion moved by 2.0 px", "ANB", "@media print", "data:image/png"):
        assert words in text, words
    assert "film1.png" not in text and "http" not in text
    assert "&lt;b&gt;motion" in text and "<b>motion" not in text


def write_dicom_film(tmp_path: Path, *, whole: bool, **tags: Any) -> Path:
    films = tmp_path / "films"
    films.mkdir()
    image = np.random.default_rng(0).integers(0, 4095, (300, 240)).astype(np.uint16)
    write_dicom(films / "film.dcm", image, **(_STUDY if whole else {}), **tags)
    make_films(tmp_path / "pictures", 1)
    predictions = write_predictions(tmp_path / "pictures", tmp_path / "landmarks.json")
    content = json.loads(predictions.read_text())
    content["images"][0]["file"] = str(films / "film.dcm")
    predictions.write_text(json.dumps(content))
    return films


def test_a_film_without_what_an_archive_needs_is_said(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    write_dicom_film(tmp_path, whole=False)
    with reviewed(tmp_path) as page:
        page.review(0)
        answer = page.client.post("/api/export/sr", json={})
        assert answer.status_code == 400 and "film.dcm: no StudyInstanceUID" in answer.json()["error"]


def test_reports_are_written_of_anonymised_films_and_the_others_are_named(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    image = np.random.default_rng(0).integers(0, 4095, (300, 240)).astype(np.uint16)
    identity: dict[str, Any] = {tag: _STUDY[tag] for tag in ("StudyInstanceUID", "SeriesInstanceUID")}
    (tmp_path / "films").mkdir()
    anonymous = write_dicom(tmp_path / "films/anonymous.dcm", image, **identity)
    files = [anonymous, write_dicom(tmp_path / "films/lost.dcm", image)]
    make_films(tmp_path / "pictures", 2)
    predictions = write_predictions(tmp_path / "pictures", tmp_path / "landmarks.json")
    content = json.loads(predictions.read_text())
    for line, file in zip(content["images"], files, strict=True):
        line["file"] = str(file)
    predictions.write_text(json.dumps(content))
    with reviewed(tmp_path) as page:
        for number in range(2):
            page.review(number)
        done = exported(page, "sr")
    (name,) = done["files"]
    assert name.startswith("anonymous") and "lost.dcm: no StudyInstanceUID" in " ".join(done["notes"])
    report = pydicom.dcmread(tmp_path / "review/exports" / name)
    assert report.StudyInstanceUID == "1.2.3" and report.PatientID == ""


def test_a_structured_report_refers_to_the_film_and_holds_points_and_numbers(tmp_path: Path) -> None:
    highdicom = pytest.importorskip("highdicom")
    films = write_dicom_film(tmp_path, whole=True)
    with reviewed(tmp_path) as page:
        assert page.client.get("/api/session").json()["can_sr"] is True
        page.review(0)
        (name,) = exported(page, "sr")["files"]
    report = pydicom.dcmread(tmp_path / "review/exports" / name)
    source = pydicom.dcmread(films / "film.dcm")
    assert report.Modality == "SR" and report.StudyInstanceUID == source.StudyInstanceUID
    parsed = highdicom.sr.srread(tmp_path / "review/exports" / name)
    groups = parsed.content.get_planar_roi_measurement_groups()
    assert len(groups) == 19
    assert groups[1].roi.value[0] == pytest.approx(face(0)[1] + 0.5, abs=1e-3)
    (numbers,) = parsed.content.get_image_measurement_groups()
    anb = [one for one in numbers.get_measurements() if one.name.value == "ANB"]
    assert len(anb) == 2 and anb[0].unit.value == "deg"  # the value and its SD
    assert anb[1].derivation.meaning == "Standard Deviation"


def test_exports_lie_in_a_folder_that_no_later_start_takes_for_films(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        page.review(0)
        exported(page, "prepared")
    assert len(list_films([tmp_path / "films"])[0]) == 3


def test_lengths_on_oblong_pixels_are_those_of_the_way(tmp_path: Path) -> None:
    with reviewed(tmp_path, spacing=[0.1, 0.4]) as page:
        x, y = face()[4].tolist()
        case = page.done({"kind": "place", "index": 4, "x": x + 10.0, "y": y})
        assert case["landmarks"][0]["u_mm"] == pytest.approx(0.2 * case["landmarks"][0]["u_px"])
        exported(page, "json")
        page.review()
        exported(page, "report")
    rows = json.loads((tmp_path / "review/exports/landmarks.json").read_text())["images"][0]["landmarks"]
    assert rows[4]["moved_mm"] == pytest.approx(1.0)
    assert "<td>1.00 mm</td>" in (tmp_path / "review/exports/report.html").read_text()


def test_measurements_of_an_export_are_as_sure_as_the_page_says(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        page.review(0, moved=3.0)
        shown = {row["code"]: row["sd"] for row in page.case(0)["measurements"]}
        exported(page, "json")
    content = read_landmark_file(tmp_path / "review/exports/landmarks.json")
    (one,) = measurer(LANDMARKS, content["model"])(content["images"][0], "x")
    assert {row["code"]: row["sd"] for row in one["measurements"]} == pytest.approx(shown)
    assert min(shown.values()) > 0.0


def test_the_model_follows_the_reader_and_open_films_are_predicted_anew(tmp_path: Path) -> None:
    checkpoint = write_smoke_checkpoint(tmp_path / "model.pt", LANDMARKS)
    with reviewed(tmp_path, checkpoint=checkpoint) as page:
        before = page.case(2)
        answer = page.client.post("/api/adapt", json={})
        assert answer.status_code == 400 and "No film is reviewed" in answer.json()["error"]
        for number in (0, 1):
            page.review(number, moved=3.0)
        kept = page.case(0)["landmarks"]
        page.done({"kind": "place", "index": 4, "x": 50.0, "y": 60.0}, number=2)
        assert page.client.post("/api/adapt", json={}).status_code == 200
        page.jobs.wait()
        progress = page.client.get("/api/progress").json()
        assert progress["task"] is None and progress["done"] == progress["of"] == 3
        assert "follows your 2 films" in progress["message"] and "1 open films" in progress["message"]
        after = page.case(2)
        assert after["landmarks"][0]["predicted"] != before["landmarks"][0]["predicted"]
        assert (after["landmarks"][4]["x"], after["landmarks"][4]["state"]) == (50.0, "moved")
        assert page.case(0)["landmarks"] == kept  # reviewed: as it was
    adapted = load_checkpoint(tmp_path / "review/adapted.pt")
    assert adapted["labels"] == "synthetic, following 2 films of AB labels"
    assert not (tmp_path / "review/adapting").exists()
    with reviewed(tmp_path, checkpoint=checkpoint) as page:  # and is there after a restart
        assert page.case(2)["landmarks"] == after["landmarks"]


def test_a_film_without_millimetres_cannot_be_followed(tmp_path: Path) -> None:
    checkpoint = write_smoke_checkpoint(tmp_path / "model.pt", LANDMARKS)
    predictions = wanted(tmp_path).predictions
    assert predictions is not None
    content = json.loads(predictions.read_text())
    for image in content["images"]:
        image["spacing_mm"] = None
    predictions.write_text(json.dumps(content))
    with reviewed(tmp_path, checkpoint=checkpoint) as page:
        page.review(0)
        assert page.client.post("/api/adapt", json={}).status_code == 200
        page.jobs.wait()
        assert "Calibrate" in page.client.get("/api/progress").json()["message"]


def test_two_blind_readings_are_compared_by_the_tool(tmp_path: Path) -> None:
    files = []
    for reader, shift in (("AB", 0.0), ("CD", 2.0)):
        study = {"blind": True, "reader": reader, "repeats": 0.34, "review": tmp_path / reader}
        with reviewed(tmp_path, **study) as page:
            for line in page.client.get("/api/cases").json():
                for index, (x, y) in enumerate(face().tolist()):
                    page.done({"kind": "place", "index": index, "x": x + shift, "y": y}, number=line["id"])
                page.done({"kind": "image", "state": "reviewed"}, number=line["id"])
            exported(page, "json")
        files.append(tmp_path / reader / "exports/landmarks.json")
    ended = run_tool("tools/compare_readers.py", "--readings", *files, "--analysis", "isbi2015")
    assert ended.returncode == 0, ended.stderr
    assert "AB and CD: 3 films, 2.00 mm apart" in ended.stdout
    assert "AB, first and AB, again: 1 films, 0.00 mm apart" in ended.stdout

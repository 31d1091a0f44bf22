"""Review page: blind readings, orders of work, and what bad input gets before anything opens."""

import json
from pathlib import Path

import numpy as np
import pytest

from review_page.start import open_session
from tests.support.review import face, make_films, measurer, reviewed, wanted, write_films


def test_a_full_disk_while_exporting_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reviewed(tmp_path) as page:
        monkeypatch.setattr("os.fsync", _full)
        assert page.client.post("/api/export/json").status_code == 507
        assert not list((tmp_path / "review/exports").iterdir())


def test_a_blind_reading_shows_nothing_in_one_order_with_repeats(tmp_path: Path) -> None:
    asked = {"blind": True, "repeats": 0.5, "reader": "CD", "seed": 3}
    kept = tmp_path / "review"
    with reviewed(tmp_path, **asked) as page:
        cases = page.client.get("/api/cases").json()
        assert len(cases) == 3 + 2 and not any(case["predicted"] for case in cases)
        order = [case.journal.file.name.removesuffix(".log.jsonl") for case in page.jobs.session.cases]
        assert sum(key.endswith("-repeat") for key in order) == 2
        case = page.case(0)
        assert case["name"] == "film 1" and not any(row["predicted"] for row in case["landmarks"])
        assert page.put({"kind": "confirm", "index": 0}).status_code == 400
        for number in range(5):
            for index, (x, y) in enumerate((face() + number).tolist()):
                page.done({"kind": "place", "index": index, "x": x, "y": y}, number=number)
            page.done({"kind": "image", "state": "reviewed"}, number=number)
        assert [case["state"] for case in page.client.get("/api/cases").json()] == ["reviewed"] * 5
        assert page.client.post("/api/adapt").status_code == 400
        assert page.client.post("/api/export/json").status_code == 200
    content = json.loads((kept / "exports/landmarks.json").read_text())
    assert sorted(image["repeat"] for image in content["images"]) == [0, 0, 0, 1, 1]
    with reviewed(tmp_path, **asked | {"seed": 4}) as page:
        assert [
            case.journal.file.name.removesuffix(".log.jsonl") for case in page.jobs.session.cases
        ] == order
    with pytest.raises(ValueError, match="blind reading"), reviewed(tmp_path):
        pass
    with pytest.raises(ValueError, match="--reader"), reviewed(tmp_path, blind=True, reader=""):
        pass


def test_a_blind_reader_does_not_see_another(tmp_path: Path) -> None:
    with reviewed(tmp_path, blind=True, reader="Jörg") as page:
        page.done({"kind": "place", "index": 0, "x": 100.0, "y": 100.0})
    with pytest.raises(ValueError, match="of 'Jörg', which 'Jürg' must not see"):
        open_session(wanted(tmp_path, blind=True, reader="Jürg"), measurer).__enter__()
    make_films(tmp_path / "films", 4)
    with reviewed(tmp_path, blind=True, reader="Jörg") as page:
        assert page.case()["landmarks"][0]["reader"] == "Jörg"
        assert page.jobs.session.settings.notes == (
            "film3.png: came after this blind reading began, so not in it.",
        )


def test_films_of_one_name_in_two_folders_are_not_one(tmp_path: Path) -> None:
    folders = [make_films(tmp_path / "films" / name, 1) for name in ("1", "2")]
    with pytest.raises(ValueError, match=r"1/film0\.png and .*2/film0\.png: .* folder that holds both"):
        open_session(wanted(tmp_path, input=folders), measurer).__enter__()
    write_films(tmp_path, 1)
    with reviewed(tmp_path) as page:
        assert len(page.client.get("/api/cases").json()) == 3


def test_orders_and_reasons_come_from_the_measurements(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        case = page.case()
        assert case["orders"]["uncertainty"] == list(range(18, -1, -1))
        first = case["orders"]["effect"][0]
        assert "decides" in case["landmarks"][first]["why"]
        settled = page.done({"kind": "confirm", "index": first})
        assert settled["orders"]["effect"].index(first) == 18 and settled["landmarks"][first]["why"] == ""
        points = [[row["x"], row["y"]] for row in settled["landmarks"]]
        rows = page.client.post("/api/measure", json={"id": 0, "points": points}).json()["measurements"]
        assert [row["value"] for row in rows] == [row["value"] for row in settled["measurements"]]
        points[4][0] += 20
        moved = page.client.post("/api/measure", json={"id": 0, "points": points}).json()["measurements"]
        changed = [row["code"] for row, old in zip(moved, rows, strict=True) if row["value"] != old["value"]]
        assert "SNA" in changed and "SNB" not in changed
        for row in moved:
            if row["classes"]:
                assert np.isclose(sum(one["probability"] for one in row["classes"]), 1.0)
        assert page.client.post("/api/measure", json={"id": 0, "points": points[:-1]}).status_code == 400


def test_a_second_review_of_a_folder_is_told_who_has_it(tmp_path: Path) -> None:
    asked = wanted(tmp_path)
    with open_session(asked, measurer):
        refusal = pytest.raises(ValueError, match=r"another review\.py is at work.*\d")
        with refusal, open_session(asked, measurer):
            pass


def test_bad_input_is_a_sentence_before_anything_opens(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="no image among"), reviewed(tmp_path, input=[empty]):
        pass
    content = json.loads((wanted(tmp_path).predictions or tmp_path).read_text())
    others = tmp_path / "others.json"
    for image in content["images"]:
        image["file"] = f"other_{Path(image['file']).name}"
    others.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"none of the 3 films"), reviewed(tmp_path, predictions=others):
        pass
    others.write_text("[]")
    with (
        pytest.raises(ValueError, match=r"not the landmarks of images"),
        reviewed(tmp_path, predictions=others),
    ):
        pass
    with reviewed(tmp_path):
        pass
    _with_one_landmark_less(tmp_path / "landmarks.json", others)
    with pytest.raises(ValueError, match=r"a review of 19 landmarks"), reviewed(tmp_path, predictions=others):
        pass
    refusal = pytest.raises(ValueError, match=r"holds 'film0.png' and no review")
    with refusal, reviewed(tmp_path, review=tmp_path / "films"):
        pass
    occupied = tmp_path / "a_file"
    occupied.write_text("")
    with pytest.raises(ValueError, match="is a file"), reviewed(tmp_path, review=occupied):
        pass


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    asked = wanted(tmp_path)
    monkeypatch.setattr(Path, "mkdir", refused)
    refusal = pytest.raises(ValueError, match=r"cannot be written \(Permission denied\)")
    with refusal, open_session(asked, measurer):
        pass


def _with_one_landmark_less(source: Path, target: Path) -> None:
    content = json.loads(source.read_text())
    content["model"]["landmark_set"] = "eighteen"
    for image in content["images"]:
        image["landmarks"].pop()
    target.write_text(json.dumps(content))


def _full(handle: int) -> None:
    raise OSError(28, "No space left on device")

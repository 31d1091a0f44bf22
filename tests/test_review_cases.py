"""Review page: films, states, undo, merge, and what is on the disk when something is acknowledged."""

import json
from pathlib import Path
from typing import Any

import pytest

from review_page.case_state import CaseState, Spacing
from review_page.films import list_films
from review_page.journal import Journal
from review_page.predictions import OwnPredictions, Predictions, Record
from review_page.start import open_session
from tests.support.review import (
    LANDMARKS,
    face,
    make_films,
    measurer,
    record,
    reviewed,
    wanted,
    write_predictions,
)
from util.files import WriteError

MOVE = {"kind": "place", "index": 4, "x": 100.25, "y": 80.5}


def test_a_case_shows_the_predictions_and_what_follows_from_them(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        cases = page.client.get("/api/cases").json()
        assert [case["name"] for case in cases] == ["film0.png", "film1.png", "film2.png"]
        assert all(case["state"] == "open" and case["unsettled"] == 19 for case in cases)
        case = page.case()
        assert [[row["x"], row["y"]] for row in case["landmarks"]] == face().tolist()
        assert case["landmarks"][3]["u_px"] == pytest.approx(1.3)
        assert [row["code"] for row in case["measurements"]][:2] == ["ANB", "SNB"]
        assert all(sorted(order) == list(range(19)) for order in case["orders"].values())
        session = page.client.get("/api/session").json()
        assert session["landmark_set"]["landmarks"] == list(LANDMARKS.landmarks)
        assert session["analysis"] == "isbi2015" and [0, 1] in session["lines"]


def test_a_moved_landmark_is_there_after_a_restart_and_moves_the_measurements(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        before = page.case()
        after = page.done(MOVE)
        assert after["revision"] == 1 and after["landmarks"][4]["state"] == "moved"
        assert after["landmarks"][4]["reader"] == "AB"
        values = [[row["value"] for row in case["measurements"]] for case in (before, after)]
        assert values[0] != values[1]
    with reviewed(tmp_path) as page:
        again = page.case()
        assert again["landmarks"] == after["landmarks"] and again["history"] == after["history"]
        assert page.case(1)["revision"] == 0


def test_undo_and_redo_are_changes_that_survive_a_restart(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        start = _marks(page.case())
        page.done({"kind": "confirm", "index": 0})
        moved = _marks(page.done(MOVE))
    with reviewed(tmp_path) as page:
        assert page.case()["can_undo"] and not page.case()["can_redo"]
        undone = page.done({"kind": "undo"})
        assert _marks(undone)[4] == start[4] and undone["landmarks"][0]["state"] == "confirmed"
        assert _marks(page.done({"kind": "undo"})) == start
        assert page.put({"kind": "undo"}).status_code == 400
    with reviewed(tmp_path) as page:
        page.done({"kind": "redo"})
        assert _marks(page.done({"kind": "redo"})) == moved
        assert page.put({"kind": "redo"}).status_code == 400


def test_another_landmark_is_merged_and_the_same_one_is_a_conflict(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        assert page.put(MOVE, base=0).status_code == 200
        assert page.put({"kind": "confirm", "index": 3}, base=0).status_code == 200
        late = page.put({**MOVE, "x": 90.0}, base=0)
        assert late.status_code == 409
        assert late.json()["case"]["landmarks"][4]["x"] == MOVE["x"]
        assert "changed in the meantime" in late.json()["error"]
        assert page.put({"kind": "undo"}, base=0).status_code == 409
        assert page.case()["revision"] == 2


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"kind": "place", "index": 19, "x": 1, "y": 1}, "from 0 to 18"),
        ({"kind": "place", "index": True, "x": 1, "y": 1}, "whole number"),
        ({"kind": "place", "index": 1, "x": 1e9, "y": 1}, "not on the film"),
        ({"kind": "place", "index": 1, "x": "1", "y": 1}, "finite number"),
        ({"kind": "place", "index": 1, "x": 10**400, "y": 1}, "expected a finite number"),
        ({"kind": "state", "index": 1, "state": "lost"}, "expected one of"),
        ({"kind": "state", "index": 1, "state": "unsure", "note": "x" * 501}, "at most 500"),
        ({"kind": "image", "state": "reviewed"}, "not settled yet"),
        ({"kind": "calibrate", "one": [1, 1], "two": [1, 2], "mm": 10}, "over 2 pixels"),
        ({"kind": "calibrate", "one": [1, 1], "two": [100, 1], "mm": 0}, "more than 0 mm"),
        ({"kind": "drop"}, "expected one of"),
        ("place", "an object"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_in_words(tmp_path: Path, event: dict, words: str) -> None:
    with reviewed(tmp_path) as page:
        answer = page.put(event, base=0)
        assert answer.status_code == 400 and words in answer.json()["error"]
        assert page.case()["revision"] == 0
        assert not list((tmp_path / "review/cases").iterdir())


def test_states_of_a_landmark_and_of_a_film(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        case = page.done({"kind": "state", "index": 2, "state": "not visible", "note": "cut off"})
        assert case["landmarks"][2]["x"] is None and case["landmarks"][2]["note"] == "cut off"
        page.done({"kind": "state", "index": 3, "state": "unsure", "note": "two edges"})
        case = page.review()
        assert case["state"] == "reviewed"
        assert [case["landmarks"][k]["state"] for k in (1, 2, 3)] == ["confirmed", "not visible", "confirmed"]
        opened = page.done({"kind": "reset", "index": 1})
        assert opened["state"] == "open" and opened["landmarks"][1]["state"] == "predicted"
        assert page.done({"kind": "undo"})["state"] == "reviewed"
        page.done({"kind": "image", "state": "locked"})
        assert "locked" in page.put(MOVE).json()["error"]
        line = page.client.get("/api/cases").json()[0]
        assert line["state"] == "locked" and line["unsettled"] == 0


def test_a_calibration_is_of_one_film_or_of_all(tmp_path: Path) -> None:
    two_clicks = {"kind": "calibrate", "one": [10, 10], "two": [10, 110], "mm": 50}
    with reviewed(tmp_path) as page:
        case = page.done(two_clicks)
        assert case["spacing_mm"] == [0.5, 0.5] and case["spacing_source"] == "ruler"
        assert page.case(1)["spacing_mm"] == [1.0, 1.0]
        page.done({**two_clicks, "all_cases": True, "mm": 40})
        assert [page.case(number)["spacing_mm"] for number in range(3)] == [[0.4, 0.4]] * 3
        assert page.done({"kind": "undo"})["spacing_mm"] == [0.5, 0.5]
    with reviewed(tmp_path) as page:
        assert page.case(2)["spacing_source"] == "ruler" and not page.case(2)["can_undo"]


ON_ALL = {"kind": "calibrate", "one": [10, 10], "two": [10, 110], "mm": 50, "all_cases": True}


def test_a_calibration_of_all_films_names_those_that_cannot_be_read(tmp_path: Path) -> None:
    lost = tmp_path / "films/film1.png"
    with reviewed(tmp_path) as page:
        assert page.client.get("/api/image/1").status_code == 200  # the picture is kept, its file is not
        content = lost.read_bytes()
        lost.unlink()
        case = page.done(ON_ALL)
        assert "film1.png" in case["warning"] and "film2.png" not in case["warning"]
        assert [case["spacing_mm"], page.case(2)["spacing_mm"]] == [[0.5, 0.5]] * 2
        lost.write_bytes(content)
        assert page.case(1)["spacing_mm"] == [1.0, 1.0]
        assert page.done(ON_ALL)["warning"] == ""
        assert page.case(1)["spacing_mm"] == [0.5, 0.5]


def test_a_calibration_of_all_films_that_met_a_full_disk_is_whole_when_it_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Journal.append

    def full(journal: Journal, *records: dict[str, Any]) -> None:
        if journal.file.name.startswith("film2"):
            raise WriteError("No space left on device")
        append(journal, *records)

    with reviewed(tmp_path) as page:
        monkeypatch.setattr(Journal, "append", full)
        assert page.put(ON_ALL, base=0).status_code == 507
        monkeypatch.undo()
        assert page.put(ON_ALL, base=0).status_code == 200
        cases = [page.case(number) for number in range(3)]
        assert [case["spacing_mm"] for case in cases] == [[0.5, 0.5]] * 3
        assert [case["revision"] for case in cases] == [1, 1, 1]


def test_a_ruler_on_oblong_pixels_keeps_their_shape(tmp_path: Path) -> None:
    down = {"kind": "calibrate", "one": [10, 10], "two": [10, 110], "mm": 40, "all_cases": True}
    with reviewed(tmp_path, spacing=[0.1, 0.2]) as page:
        case = page.done(down)
        assert case["spacing_mm"] == pytest.approx([0.2, 0.4])
        assert "0.2000 x 0.4000 mm a pixel" in case["history"][0]["text"]
        assert page.case(1)["spacing_mm"] == pytest.approx([0.2, 0.4])
        assert page.done({**down, "two": [110, 10]})["spacing_mm"] == pytest.approx([0.4, 0.8])


def test_a_spacing_that_is_given_late_counts_where_none_is_known(tmp_path: Path) -> None:
    films = make_films(tmp_path / "films")
    images = [record(image, n) | {"spacing_mm": None} for n, image in enumerate(sorted(films.glob("*.png")))]
    write_predictions(films, tmp_path / "landmarks.json", images=images)
    with reviewed(tmp_path) as page:
        assert page.done(MOVE)["spacing_mm"] is None
    with reviewed(tmp_path, spacing=[0.5]) as page:
        case = page.case()
        assert (case["spacing_mm"], case["spacing_source"], case["revision"]) == ([0.5, 0.5], "--spacing", 1)


def test_a_spacing_that_is_given_late_is_said_where_the_log_has_another(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        page.done(MOVE)
    with reviewed(tmp_path, spacing=[0.5]) as page:
        (sentence,) = page.case()["banner"]
        assert page.case()["spacing_mm"] == [1.0, 1.0] and page.case(1)["spacing_mm"] == [0.5, 0.5]
        assert "began with 1.0000 mm a pixel (--spacing) and keeps it; --spacing now says 0.5000" in sentence
        assert page.case(1)["banner"] == []


def test_predictions_of_another_model_are_not_shown_as_those_asked_for(tmp_path: Path) -> None:
    asked = wanted(tmp_path)
    films, _ = list_films(asked.input)
    old: dict[str, Record] = {film.key: record(film.file, 50) for film in films}
    asked.review.mkdir()
    store = OwnPredictions(asked.review / "predictions.jsonl")
    store.write(Predictions(LANDMARKS, {"checkpoint": "old.pt", "sha256": "0"}, old))
    with reviewed(tmp_path) as page:  # others are given
        assert page.case()["landmarks"][0]["x"] == face()[0, 0]
    (tmp_path / "new.pt").write_bytes(b"another")
    other = {"predictions": None, "checkpoint": tmp_path / "new.pt"}
    with pytest.raises(ValueError, match=r"its predictions are of old.pt, not of .*new.pt"):
        open_session(wanted(tmp_path, **other), measurer).__enter__()


def test_a_torn_last_line_is_set_aside_and_written_over(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        page.done(MOVE)
        page.done({"kind": "confirm", "index": 0})
    (log,) = (tmp_path / "review/cases").glob("*.log.jsonl")
    whole = log.read_bytes()
    log.write_bytes(whole[:-20])
    with reviewed(tmp_path) as page:
        case = page.case()
        assert case["revision"] == 1 and case["landmarks"][0]["state"] == "predicted"
        copy = json.loads(log.with_name(log.name.replace(".log.jsonl", ".json")).read_text())
        assert copy["revision"] == 1
        page.done({"kind": "flag", "flagged": True, "note": "see"})
    assert [json.loads(line)["kind"] for line in log.read_text().splitlines()[1:]] == ["place", "flag"]
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_kill_while_predictions_are_kept_costs_one_film(tmp_path: Path) -> None:
    films, _ = list_films([make_films(tmp_path / "films")])
    store = OwnPredictions(tmp_path / "predictions.jsonl")
    store.write(Predictions(LANDMARKS, {"checkpoint": "model.pt"}))
    for number, film in enumerate(films[:2]):
        store.add(film, record(film.file, number))
    store.file.write_bytes(store.file.read_bytes()[:-20])
    assert read(store) == [films[0].key]
    store.add(films[2], record(films[2].file, 2))
    assert read(store) == [films[0].key, films[2].key]
    assert store.file.stat().st_mode & 0o777 == 0o600


def read(store: OwnPredictions) -> list[str]:
    kept = store.read()
    return [] if kept is None else list(kept.records)


def test_a_full_disk_is_said_and_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reviewed(tmp_path) as page:
        before = page.done(MOVE)
        (log,) = (tmp_path / "review/cases").glob("*.log.jsonl")
        whole = log.read_bytes()

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        answer = page.put({"kind": "confirm", "index": 0})
        assert answer.status_code == 507 and "No space left" in answer.json()["error"]
        assert log.read_bytes() == whole
        monkeypatch.undo()
        assert page.case() == before
        assert page.done({"kind": "confirm", "index": 0})["revision"] == 2


def test_a_log_that_is_damaged_inside_is_refused_with_its_name(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        page.done(MOVE)
        page.done({"kind": "confirm", "index": 0})
    (log,) = (tmp_path / "review/cases").glob("*.log.jsonl")
    head, _, last = log.read_text().splitlines()
    log.write_text(f"{head}\n{last}\n")
    with pytest.raises(ValueError, match=r"record 1 is damaged"), reviewed(tmp_path):
        pass
    log.write_text('{"format": "other"}\n')
    with pytest.raises(ValueError, match=r"of form 'other'"), reviewed(tmp_path):
        pass
    log.write_text("hello\n")
    with pytest.raises(ValueError, match=r"not a log of review\.py"), reviewed(tmp_path):
        pass
    assert log.read_text() == "hello\n"


def test_a_film_that_was_exchanged_is_not_written_to(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        page.done(MOVE)
    (tmp_path / "films/film0.png").write_bytes((tmp_path / "films/film1.png").read_bytes())
    with reviewed(tmp_path) as page:
        for _ in range(2):  # the second time as the first
            answer = page.client.get("/api/case/0")
            assert answer.status_code == 400 and "has changed since" in answer.json()["error"]
        assert page.put(MOVE, base=1).status_code == 400
        assert page.case(1)["revision"] == 0


def test_a_state_takes_records_in_their_order_only(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        page.done(MOVE)
    (log,) = (tmp_path / "review/cases").glob("*.log.jsonl")
    journal = Journal(log.parent, log.name.removesuffix(".log.jsonl"))
    _, (record,) = journal.read()
    state = CaseState([None] * 19, Spacing(None, "none"))
    state.apply(record)
    with pytest.raises(ValueError, match="record 1 after 1"):
        state.apply(record)


def test_a_ruler_and_a_file_that_do_not_agree_are_said(tmp_path: Path) -> None:
    event = {"kind": "calibrate", "one": [10, 10], "two": [10, 110]}
    with reviewed(tmp_path, spacing=[0.1]) as page:
        assert page.case()["spacing_source"] == "--spacing"
        assert page.done({**event, "mm": 11})["banner"] == []
        (sentence,) = page.done({**event, "mm": 12})["banner"]
        assert "+20 %" in sentence


def _marks(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The landmarks without the sentence that depends on all of them."""
    return [{key: value for key, value in row.items() if key != "why"} for row in case["landmarks"]]

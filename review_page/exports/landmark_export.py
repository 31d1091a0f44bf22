"""landmarks.json and .csv as inference.py writes them, with who settled what and how far it moved."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from review_page.case import Case
from review_page.case_state import NOT_VISIBLE
from review_page.measured_case import places_of, uncertainties
from review_page.session import Session
from transforms.geometry import square_side
from util.files import printable, write_atomic

_KEYS = (
    *("index", "name", "x", "y", "x_mm", "y_mm", "uncertainty_px", "uncertainty_mm"),
    *("state", "reader", "moved_mm", "note"),
)


def write_json(session: Session) -> tuple[list[str], list[str]]:
    """landmarks.json of every film that has a landmark, as ``tools/measure.py`` and others read it."""
    content = landmark_file(session)
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomic(session.folder.exports / "landmarks.json", text)
    return ["landmarks.json"], notes_of(session)


def write_csv(session: Session) -> tuple[list[str], list[str]]:
    """landmarks.csv, a row a landmark."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("file", "slice", "repeat", "film_state", *_KEYS))
    for image in landmark_file(session)["images"]:
        for row in image["landmarks"]:
            head = (image["file"], image["slice"], image["repeat"], image["state"])
            rows.writerow([*head, *(row[key] for key in _KEYS)])
    write_atomic(session.folder.exports / "landmarks.csv", text.getvalue())
    return ["landmarks.csv"], notes_of(session)


def landmark_file(session: Session) -> dict[str, Any]:
    """What landmarks.json says. Raises ValueError when no film has a landmark."""
    images = [image_record(session, number) for number, case in enumerate(session.cases) if has_any(case)]
    if not images:
        raise ValueError("No film has a landmark yet, so there is nothing to write.")
    return {
        "model": {**session.predictions.model, "reviewed_by": readers(session.cases)},
        "left_out": {},
        "images": images,
        "failed": [],
    }


def image_record(session: Session, number: int) -> dict[str, Any]:
    """One film in the form of ``util.prediction.landmarks.landmark_files.image_record``, and its states."""
    case = session.opened(number)
    assert case.facts is not None
    record = session.predictions.records.get(case.film.key, {}) if session.study is None else {}
    mm = case.state.spacing.mm
    doubts = uncertainties(case, places_of(case))
    return {
        "file": printable(case.film.file),
        "slice": case.film.slice,
        "repeat": int(case.journal.file.name.endswith("-repeat.log.jsonl")),
        "width": case.facts.width,
        "height": case.facts.height,
        "spacing_mm": None if mm is None else list(mm),
        "spacing_source": case.state.spacing.source,
        "pose": record.get("pose", "as-is"),
        "plausible": record.get("plausible"),
        "plausible_reason": record.get("plausible_reason"),
        "state": case.state.image,
        "flagged": case.state.flag["flagged"],
        "flag_note": case.state.flag["note"],
        "landmarks": [_landmark(case, *pair) for pair in zip(case.landmarks(), doubts, strict=True)],
    }


def _landmark(case: Case, row: dict[str, Any], doubt: float | None) -> dict[str, Any]:
    """doubt: its uncertainty in pixels, as the page's intervals have it."""
    mm = case.state.spacing.mm
    x, y = row["x"], row["y"]
    doubt = None if x is None else doubt
    return {
        "index": row["index"] + 1,
        "name": case.landmark_set.landmarks[row["index"]],
        "x": x,
        "y": y,
        "x_mm": None if mm is None or x is None else x * mm[0],
        "y_mm": None if mm is None or y is None else y * mm[1],
        "uncertainty_px": doubt,
        "uncertainty_mm": None if mm is None or doubt is None else doubt * square_side(np.array(mm)),
        "state": row["state"],
        "reader": row["reader"],
        "moved_mm": case.moved_mm(row["index"]),
        "note": row["note"],
    }


def has_any(case: Case) -> bool:
    """Whether a landmark has a place, or was said to have none."""
    marks = enumerate(case.state.marks)
    return any(case.state.place(k) is not None or mark.state == NOT_VISIBLE for k, mark in marks)


def readers(cases: Sequence[Case]) -> list[str]:
    """All who settled a landmark."""
    return sorted({mark.reader for case in cases for mark in case.state.marks if mark.reader})


def notes_of(session: Session) -> list[str]:
    """What whoever uses the files should know."""
    films = [case for case in session.cases if has_any(case)]
    waiting = sum(bool(case.state.unsettled()) for case in films)
    absent = len(session.cases) - len(films)
    notes = []
    if waiting:
        notes.append(f"{waiting} of {len(films)} films have landmarks that are still as predicted.")
    if absent:
        notes.append(f"{absent} films without any landmark are left out.")
    return notes

"""Reviewed films as a prepared folder (docs/data.md): the reader's landmarks are its labels."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from datasets.files.image_files import SourceImage
from datasets.prepared.case import INDEX_TO_CONTINUOUS, PreparedCase
from datasets.prepared.writer import write_prepared
from review_page.case import Case
from review_page.exports.landmark_export import readers
from review_page.film_images import FilmImages
from review_page.session import Session


def write_prepared_folder(session: Session) -> tuple[list[str], list[str]]:
    """prepared_DATE: a new one each time, since trainings may be running from an older one."""
    name = f"prepared_{datetime.now():%Y-%m-%d_%H%M%S}"
    notes = write_reviewed(session.folder.exports / name, reviewed_cases(session), session.images)
    return [name], [*notes, "One split, train: main.py and tools/adapt_protocol.py take it."]


def reviewed_cases(session: Session) -> list[Case]:
    """Raises ValueError for none."""
    cases = [session.opened(number) for number in session.reviewed()]
    if not cases:
        raise ValueError("No film is reviewed yet. Settle all its landmarks, then press “Film reviewed”.")
    return cases


def write_reviewed(folder: Path, cases: Sequence[Case], images: FilmImages) -> list[str]:
    """One split, train, of all ``cases``; sentences on what was left out.

    Raises ValueError where ``folder`` holds something already.
    """
    notes: list[str] = []
    write_prepared(
        folder,
        {"train": _prepared(cases, images, notes)},
        landmark_set=cases[0].landmark_set,
        labels=" and ".join(readers(cases)) or "unnamed reader",
        created_by="review.py",
        source_files={case.film.key: case.head["image_sha256"] for case in cases if case.head is not None},
    )
    return notes


def _prepared(cases: Sequence[Case], images: FilmImages, notes: list[str]) -> Iterator[PreparedCase]:
    for case in cases:
        image = images.source(case.film)
        points = places(case) + INDEX_TO_CONTINUOUS
        size = np.array(image.image.shape[::-1])
        beyond = np.any((points < 0) | (points > size), axis=-1)  # NaN is neither
        if beyond.any():
            notes.append(
                f"{case.name}: {int(beyond.sum())} landmarks beyond the film's border count as missing."
            )
            points = np.where(beyond[:, None], np.nan, points)
        yield _prepared_case(case, image, points)


def _prepared_case(case: Case, image: SourceImage, points: np.ndarray) -> PreparedCase:
    height, width = image.image.shape
    return PreparedCase(
        name=file_stem(case),
        image=image.image,
        points=points,
        spacing=np.array(case.state.spacing.mm or (np.nan, np.nan), np.float64),
        source_file=case.name,
        source_size=(width, height),
    )


def places(case: Case) -> np.ndarray:
    """(K, 2) index pixels as the landmarks stand; NaN where one has no place."""
    found = [case.state.place(index) or (np.nan, np.nan) for index in range(len(case.landmark_set))]
    return np.array(found, np.float64)


def file_stem(case: Case) -> str:
    """How files of one film are called; a repeat has a name of its own."""
    return case.journal.file.name.removesuffix(".log.jsonl")

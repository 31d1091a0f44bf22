"""The films of a folder: a list made once, at the start. A browser names a film by its number only."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.files.image_files import SourceImage, count_images, read_images
from datasets.files.kinds import Kind, kind_of
from util.files import printable, sha256
from util.prediction.predict_files import Found, list_files


@dataclass(frozen=True)
class Film:
    """One image of one file."""

    file: Path  # as it was given
    slice: int | None  # from 1 in a file of several images
    name: str  # to be shown
    key: str  # of its log's name, from its place in the folder alone

    def read(self, spacing: Sequence[float] | None = None) -> SourceImage:
        """Raises ValueError naming the file when it cannot be read any more."""
        for image in read_images(self.file, spacing):
            if image.slice == self.slice:
                return image
        raise ValueError(f"{printable(self.file)}: no image {self.slice} any more. Copy it again.")


@dataclass(frozen=True)
class FilmFacts:
    """What a film's file says; known once it was read."""

    width: int
    height: int
    spacing: tuple[float, float] | None  # mm a pixel along x and y
    spacing_source: str
    sha256: str  # of the file

    @classmethod
    def of(cls, image: SourceImage) -> "FilmFacts":
        known = bool(np.isfinite(image.spacing).all())
        return cls(
            width=image.image.shape[1],
            height=image.image.shape[0],
            spacing=(float(image.spacing[0]), float(image.spacing[1])) if known else None,
            spacing_source=image.spacing_source,
            sha256=sha256(image.file),
        )


def list_films(paths: Sequence[Path]) -> tuple[list[Film], Found]:
    """The films of files and folders in their order, and what was left out or cannot be read.

    Raises ValueError when there is none, naming the paths, and for two films whose logs would be one.
    """
    found = Found()
    films: list[Film] = []
    for file in list_files(paths, found):
        try:
            films += _films_of(file, paths)
        except (ValueError, OSError) as error:
            found.note_failure(file, error)
    if not films:
        raise ValueError(f"no image among {[str(path) for path in paths]}. Give images or folders of them.")
    _require_own_keys(films)
    return films, found


def is_dicom(file: Path) -> bool:
    """By its content."""
    try:
        return kind_of(file) is Kind.DICOM
    except OSError:
        return False


def _films_of(file: Path, roots: Sequence[Path]) -> list[Film]:
    place = _place(file, roots)
    count = count_images(file)
    numbers: list[int | None] = [None] if count == 1 else list(range(1, count + 1))
    return [_film(file, place, number) for number in numbers]


def _require_own_keys(films: Sequence[Film]) -> None:
    of_key: dict[str, Film] = {}
    for film in films:
        first = of_key.setdefault(film.key, film)
        if first is not film:
            raise ValueError(
                f"{printable(first.file)} and {printable(film.file)}: of one name in two inputs, so their "
                "reviews would be one. Give the folder that holds both."
            )


def _film(file: Path, place: str, number: int | None) -> Film:
    suffix = "" if number is None else f" {number}"
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(place).stem)[:40]
    digest = hashlib.sha256(f"{place}{suffix}".encode(errors="surrogateescape")).hexdigest()[:12]
    return Film(file, number, printable(file.name) + suffix, f"{stem}-{digest}")


def _place(file: Path, roots: Sequence[Path]) -> str:
    """Relative to the folder that it was found in, so that a folder may move with its review."""
    for root in roots:
        if root.is_dir() and file.is_relative_to(root):
            return file.relative_to(root).as_posix()
    return file.name

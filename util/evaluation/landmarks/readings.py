"""What readers have marked with review.py: landmarks.json of its exports, film by film."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from util.prediction.landmarks.measuring import landmark_set_of, read_landmark_file

Key = tuple[str, int | None, int]  # file name, slice, 0 or 1 for a film that was shown again
_SETTLED = ("confirmed", "moved", "unsure")  # places that a person has said


@dataclass(frozen=True)
class ReadFilm:
    """One film as one reader has marked and calibrated it."""

    size: tuple[int, int]  # (width, height) pixels
    points: np.ndarray  # (K, 2) pixels; NaN where nobody has said a place
    spacing: np.ndarray  # (2,) mm per pixel along x and y; NaN where unknown


@dataclass(frozen=True)
class Reading:
    """One reader's films."""

    name: str
    landmark_set: LandmarkSet
    films: Mapping[Key, ReadFilm]


@dataclass(frozen=True)
class Paired:
    """Two readings of N films: of two readers, or of one reader twice."""

    first: str
    second: str
    landmark_set: LandmarkSet
    films: tuple[str, ...]
    points: np.ndarray  # (2, N, K, 2) pixels
    spacing: np.ndarray  # (2, N, 2) mm per pixel, as each has calibrated the film

    @property
    def measured(self) -> np.ndarray:
        """(2, N, K, 2) each by his own mm, what his measurements are of; pixels where he knows none."""
        return self.points * np.where(np.isnan(self.spacing), 1.0, self.spacing)[:, :, None]

    @property
    def places_mm(self) -> np.ndarray:
        """(2, N, K, 2) by the mean of both millimetres: where a ruler is read apart, landmarks are not."""
        return self.points * self.spacing.mean(0)[:, None]


def read_reading(file: Path) -> Reading:
    """Raises ValueError for another kind of file, for one without states, and for one that is not marked."""
    content = read_landmark_file(file)
    landmark_set = landmark_set_of(content)
    films: dict[Key, ReadFilm] = {}
    for image in content["images"]:
        key = (Path(image["file"]).name, image.get("slice"), int(image.get("repeat", 0)))
        if key in films:
            raise ValueError(f"{file}: {key[0]} is in it twice. Give films of different names.")
        films[key] = _film(image, file)
    if all(np.isnan(film.points * film.spacing).all() for film in films.values()):
        raise ValueError(
            f"{file}: no landmark in it was settled on a film whose millimetre is known. Review the films, "
            "and calibrate them."
        )
    readers = content["model"].get("reviewed_by") or []
    return Reading(" and ".join(readers) or file.stem, landmark_set, films)


def _film(image: Mapping[str, Any], file: Path) -> ReadFilm:
    rows = image["landmarks"]
    if any("state" not in row for row in rows):
        raise ValueError(f"{file}: no states of landmarks in it. Give landmarks.json of review.py's export.")
    known = [row["state"] in _SETTLED and row["x"] is not None for row in rows]
    points = [
        [row["x"], row["y"]] if is_known else [np.nan] * 2 for row, is_known in zip(rows, known, strict=True)
    ]
    spacing = np.array(image.get("spacing_mm") or (np.nan, np.nan), np.float64)
    return ReadFilm((image["width"], image["height"]), np.array(points, np.float64), spacing)


def pair_readers(one: Reading, other: Reading) -> Paired:
    """The films that both have read, each as it was shown first.

    Raises ValueError where there is none, and for a film that was of another size for the other reader.
    """
    if one.landmark_set.landmarks != other.landmark_set.landmarks:
        raise ValueError(
            f"{one.name} has marked {one.landmark_set.name!r} and {other.name} {other.landmark_set.name!r}: "
            "expected the same landmarks."
        )
    shared = [key for key in one.films if key[2] == 0 and key in other.films]
    if not shared:
        raise ValueError(
            f"{one.name} and {other.name} have no film in common. Give readings of the same folder."
        )
    for key in shared:
        sizes = one.films[key].size, other.films[key].size
        if sizes[0] != sizes[1]:
            told = " and ".join(f"{width}x{height}" for width, height in sizes)
            raise ValueError(
                f"{key[0]}: {told} pixels for {one.name} and {other.name}, expected one picture. Give "
                "readings of the same folder."
            )
    names = (one.name, other.name) if one.name != other.name else (f"{one.name} (1)", f"{other.name} (2)")
    return _paired(*names, one.landmark_set, shared, [one.films, other.films])


def pair_repeats(reading: Reading) -> Paired | None:
    """The films that one reader was shown twice; None without any."""
    shared = [key for key in reading.films if key[2] == 0 and (*key[:2], 1) in reading.films]
    if not shared:
        return None
    again = {key: reading.films[(*key[:2], 1)] for key in shared}
    first, second = f"{reading.name}, first", f"{reading.name}, again"
    return _paired(first, second, reading.landmark_set, shared, [reading.films, again])


def _paired(
    first: str,
    second: str,
    landmark_set: LandmarkSet,
    keys: Sequence[Key],
    films: Sequence[Mapping[Key, ReadFilm]],
) -> Paired:
    points = np.stack([[of_one[key].points for key in keys] for of_one in films])
    spacing = np.stack([[of_one[key].spacing for key in keys] for of_one in films])
    names = tuple(name if number is None else f"{name} {number}" for name, number, _ in keys)
    return Paired(first, second, landmark_set, names, points, spacing)

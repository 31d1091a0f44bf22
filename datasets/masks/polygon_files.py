"""Polygons in JSON, a file an image, in the layout of the hand task.

A file holds ``annotations``, each with a ``label`` and ``points`` [[x, y], ...]. Its name tells the image,
by stem: what it says itself of a file name or a size is not used, since both describe the picture before it
was exported.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from datasets.files.kinds import stem_of
from datasets.masks.annotation import Annotation, Outlines
from datasets.prepared.subsets import read_json


def find_polygon_files(folder: Path) -> dict[str, Path]:
    """JSON files in and below ``folder`` by stem. Raises ValueError for none, or two of one stem."""
    return by_stem(sorted(folder.rglob("*.json")), folder, "JSON file")


def by_stem(files: list[Path], folder: Path, kind: str) -> dict[str, Path]:
    """``files`` by their names without suffix. Raises ValueError for none, or two of one stem."""
    if not folder.is_dir() or not files:
        raise ValueError(f"{folder}: no {kind} in it, expected some. Check the path.")
    found: dict[str, Path] = {}
    for file in files:
        stem = stem_of(file)
        if stem in found:
            raise ValueError(
                f"{file} and {found[stem]}: the same name, expected names that tell images apart."
            )
        found[stem] = file
    return found


def with_fractions(files: dict[str, Path]) -> list[str]:
    """The stems of the files in which a vertex is no whole number; without one, vertices name pixels.

    Tools that follow a brushed mask write the outermost pixels of a structure; those belong to it. Vertices
    with fractions are continuous coordinates.
    """
    return [
        stem
        for stem, file in files.items()
        if any((points != np.round(points)).any() for _, points in _polygons(file))
    ]


def labels_in(files: dict[str, Path]) -> list[str]:
    """Every label, in the order in which they first come."""
    return list(dict.fromkeys(label for file in files.values() for label, _ in _polygons(file)))


def read_polygons(stem: str, file: Path, *, chains: bool) -> Annotation:
    """The structures of one image. Raises ValueError naming the file for one of another layout."""
    outlines: dict[str, list[np.ndarray]] = {}
    for label, points in _polygons(file):
        outlines.setdefault(label, []).append(points)
    united = {label: Outlines(tuple(polygons), chains) for label, polygons in outlines.items()}
    return Annotation(stem, str(file), outlines=united)


def _polygons(file: Path) -> Iterator[tuple[str, np.ndarray]]:
    data: Any = read_json(file).get("annotations")
    if not isinstance(data, list):
        raise ValueError(f"{file}: no list 'annotations', expected one of entries with label and points.")
    for number, entry in enumerate(data):
        try:
            points, label = np.array(entry["points"], np.float64), entry["label"]
            if not isinstance(label, str | int):
                raise ValueError(f"label {label!r}")
            yield str(label), points
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{file}: annotation {number}: {error}, expected a label and points [[x, y], ...]."
            ) from error

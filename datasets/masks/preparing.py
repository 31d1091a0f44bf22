"""From images and annotations that people have to a prepared folder of masks, with what was noticed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path

import numpy as np

from datasets.files.image_files import read_images
from datasets.masks.annotation import Notes
from datasets.masks.case import MaskCase
from datasets.masks.class_set import ClassSet
from datasets.masks.hand_task import side_of_hand
from datasets.masks.sources import Source
from datasets.sides import other_side

_ALIKE = 0.8  # of 1, from which two names may be two spellings of one


@dataclass
class Preparing:
    """What it takes to make cases of matched stems, and what is gathered while they go by."""

    source: Source
    class_set: ClassSet
    images: Mapping[str, Path]  # by stem
    cases_of: Mapping[str, str]  # by stem, what the case is called
    persons: Mapping[str, str]  # by stem
    attributes: Mapping[str, Mapping[str, str]]  # by person
    spacing: np.ndarray | None  # (2,) mm per pixel in place of what the files say
    notes: Notes
    names: list[str] = field(default_factory=list)
    centres: list[np.ndarray] = field(default_factory=list)  # (K, 2) each, shares of the image height
    areas: list[np.ndarray] = field(default_factory=list)  # (K,) each, shares of the image's area
    farthest: np.ndarray = field(default_factory=lambda: np.zeros(2))  # centre along x and y, as shares

    def cases(self, stems: list[str]) -> Iterator[MaskCase]:
        """Cases one by one. Raises ValueError naming the file for whatever cannot be mended."""
        return map(self.case, stems)

    def case(self, stem: str) -> MaskCase:
        """One case; its structures' places and sizes are kept."""
        image, spacing = self._read_image(self.images[stem])
        size = image.shape[1], image.shape[0]
        shapes = self.source.read(stem).shapes(self.class_set.classes, size, self.notes)
        centres, areas = zip(*(_centre_and_area(shape.mask(size)) for shape in shapes), strict=True)
        self.names.append(self.cases_of[stem])
        self.centres.append(np.array(centres) / size[1])
        self.areas.append(np.array(areas) / (size[0] * size[1]))
        self.farthest = np.fmax(self.farthest, np.nanmax([(0.0, 0.0), *centres], 0) / size)
        return MaskCase(
            name=self.cases_of[stem],
            image=image,
            shapes=shapes,
            spacing=spacing,
            source_file=self.images[stem].name,
            person=self.persons[stem],
            attributes=self._attributes_of(stem, np.array(centres)),
        )

    def note_doubts(self) -> None:
        """Note what the images that went by make doubtful only together."""
        shown = np.stack(self.areas) > 0.0  # (N, K)
        for j, k in combinations(range(len(self.class_set)), 2):
            first, other = self.class_set.classes[j], self.class_set.classes[k]
            counts = shown[:, j].sum(), shown[:, k].sum()
            apart = all(counts) and not (shown[:, j] & shown[:, k]).any()
            if apart and _spelt_alike(first, other):
                where = f"{first} in {counts[0]} images, {other} in {counts[1]}"
                self.notes.add("names alike and never in one image: two spellings of one class?", where)
        if shown.any() and (self.farthest < 0.5).all():
            kind = "all structures lie in the upper left quarter: were smaller images annotated?"
            self.notes.add(kind, self.source.name)

    def _attributes_of(self, stem: str, centres: np.ndarray) -> dict[str, str]:
        found = dict(self.attributes.get(self.persons[stem], {}))
        if "side" in self.class_set.attributes and "side" not in found:
            side = side_of_hand(
                {
                    name: tuple(c)
                    for name, c in zip(self.class_set.classes, centres, strict=True)
                    if np.isfinite(c).all()
                }
            )
            if side is None:
                self.notes.add("side unknown: a tip of thumb or little finger is missing", stem)
            else:
                found["side"] = side
        return found

    def _read_image(self, file: Path) -> tuple[np.ndarray, np.ndarray]:
        images = list(read_images(file, None if self.spacing is None else self.spacing.tolist()))
        if len(images) != 1:
            raise ValueError(f"{file}: {len(images)} images, expected one a file, to match by its name.")
        return images[0].image, images[0].spacing


def _spelt_alike(first: str, other: str) -> bool:
    """Whether two names may be one, misspelt: not where numbers or sides tell them apart."""
    if re.findall(r"\d+", first) != re.findall(r"\d+", other) or other_side(first, teeth=False) == other:
        return False
    return SequenceMatcher(None, first.lower(), other.lower()).ratio() >= _ALIKE


def _centre_and_area(mask: np.ndarray) -> tuple[tuple[float, float], float]:
    """(x, y) of a mask's centroid, NaN for an empty one, and its pixels."""
    columns, rows = mask.sum(0), mask.sum(1)
    area = float(columns.sum())
    if not area:
        return (np.nan, np.nan), 0.0
    x = float(columns @ (np.arange(len(columns)) + 0.5)) / area
    y = float(rows @ (np.arange(len(rows)) + 0.5)) / area
    return (x, y), area

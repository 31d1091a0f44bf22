"""Where structures come from: a folder a class, polygons, or COCO; each gives an annotation by stem."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from datasets.masks import coco_files, mask_files, polygon_files
from datasets.masks.annotation import Annotation, Notes
from datasets.masks.class_set import ClassSet
from datasets.masks.hand_task import BONES, HAND
from datasets.sides import pairs_by_name


@dataclass(frozen=True)
class Source:
    """Annotated stems, their files, and a reader of one of them."""

    name: str  # what it is, for the record
    classes: tuple[str, ...]
    files: dict[str, tuple[Path, ...]]  # by stem
    read: Callable[[str], Annotation]

    @property
    def class_set(self) -> ClassSet:
        """The classes with their pairs; bones of a hand in the order of the hand task."""
        bones = tuple(bone for bone in BONES if bone in self.classes)
        return class_set_of(self.name, bones if len(bones) == len(self.classes) else self.classes)


def class_set_of(name: str, classes: tuple[str, ...]) -> ClassSet:
    """``classes``, in their order, with their pairs; the hand's bones are known by their names."""
    if set(classes) <= set(BONES):
        return replace(HAND, classes=classes)
    return ClassSet(name, classes, pairs_by_name(classes))


def masks_source(folder: Path, notes: Notes) -> Source:
    """Masks as pictures: a folder a class."""
    files = mask_files.find_mask_files(folder)
    stems = sorted({stem for by_stem in files.values() for stem in by_stem})
    of_stem = {stem: tuple(f[stem] for f in files.values() if stem in f) for stem in stems}
    return Source(
        folder.name, natural(files), of_stem, lambda stem: mask_files.read_masks(stem, files, notes)
    )


def polygons_source(folder: Path, notes: Notes) -> Source:
    """Polygons in JSON, in the layout of the hand task."""
    files = polygon_files.find_polygon_files(folder)
    fractions = polygon_files.with_fractions(files)
    for stem in fractions:  # one decides for all: whole numbers among them are no chains then
        notes.add("all polygons read as continuous (with fractions)", stem)
    if not fractions:
        notes.add("polygons read as chains of pixels (whole numbers)", folder.name)
    return Source(
        folder.name,
        natural(polygon_files.labels_in(files)),
        {stem: (file,) for stem, file in files.items()},
        lambda stem: polygon_files.read_polygons(stem, files[stem], chains=not fractions),
    )


def coco_source(file: Path) -> Source:
    """One file of COCO instances."""
    classes, annotations = coco_files.read_coco(file)
    return Source(file.stem, classes, dict.fromkeys(annotations, (file,)), annotations.__getitem__)


def natural(names: Iterable[str]) -> tuple[str, ...]:
    """Sorted with numbers by their value: finger-2 before finger-10."""
    return tuple(sorted(names, key=lambda name: [int(p) if p.isdigit() else p for p in _parts(name)]))


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name)

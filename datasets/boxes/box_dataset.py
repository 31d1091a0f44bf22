"""Images with boxes: a prepared folder, or COCO in its usual folders as it lies."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from datasets.boxes.class_set import BoxClasses
from datasets.boxes.coco_file import coco_classes, read_coco
from datasets.boxes.coco_folder import find_image, find_subset
from datasets.boxes.faults import Faults
from datasets.boxes.objects import BoxRecord, warn_of_absent
from datasets.boxes.sample import BoxSample
from datasets.files.colour import as_colour, as_grey, picture_size, read_picture
from datasets.prepared.drawn import DrawnCases
from datasets.prepared.subsets import (
    read_colour_png,
    read_header,
    read_json,
    read_png,
    read_subset,
    repeated_cases,
)

Transforms = Callable[[Any, np.random.Generator], Any]
ReadPixels = Callable[[Path, tuple[int, int]], np.ndarray]


class BoxDataset(DrawnCases[BoxSample]):
    """One subset of images with boxes; ``open_boxes`` makes it from a folder.

    Augmentation is a pure function of (seed, draw, index): ``dataset[index, draw]`` is the same on every
    machine and in every worker, and ``dataset[index]`` is draw 0.
    """

    def __init__(
        self,
        records: Sequence[BoxRecord],
        classes: BoxClasses,
        read_pixels: ReadPixels,
        *,
        folder: Path,
        subset: str,
        transforms: Transforms | None = None,
        seed: int = 0,
        repeated: tuple[str, ...] = (),
    ) -> None:
        self.records, self.classes, self._read_pixels = tuple(records), classes, read_pixels
        self.folder, self.subset = folder, subset
        self.transforms, self.seed = transforms, seed
        self.cases = _names(records)
        self.repeated = repeated  # the cases whose picture train or val has too, under another name
        if getattr(transforms, "flip", 0):
            classes.mirrored()  # raises where that is not known

    def __len__(self) -> int:
        return len(self.records)

    def load(self, index: int) -> BoxSample:
        """Image ``index`` with its boxes as stored, before any transform."""
        record = self.records[index]
        return self._sample(index, self._read_pixels(record.file, record.size))

    def without_pixels(self, index: int) -> BoxSample:
        """Like ``dataset[index]`` but from a black image: where the boxes go, without reading a file."""
        black = np.zeros(self.records[index].size[::-1], np.uint8)
        return self._transformed(self._sample(index, black), index, 0)

    def relabelled(self, classes: BoxClasses, labels: np.ndarray) -> Self:
        """The same images with the labels of other ``classes``; ``labels`` (K,): of each class here."""
        other = copy(self)
        other.classes = classes
        other.records = tuple(replace(record, labels=labels[record.labels]) for record in self.records)
        return other

    def _sample(self, index: int, image: np.ndarray) -> BoxSample:
        record = self.records[index]
        return BoxSample(
            image=image,
            spacing=record.spacing.copy(),
            to_source=np.eye(3),
            case=self.cases[index],
            classes=self.classes,
            boxes=record.boxes.copy(),
            labels=record.labels,
            ignored=record.ignored,
            source_boxes=record.boxes,
            areas=record.areas,
            source_size=record.size,
        )


def _names(records: Sequence[BoxRecord]) -> tuple[str, ...]:
    """What to call the images: by their files, and by their ids too where two files have one name."""
    stems = [record.file.stem for record in records]
    if len(set(stems)) == len(stems):
        return tuple(stems)
    return tuple(f"{record.file.stem} ({record.image_id})" for record in records)


def open_boxes(
    folder: str | Path, subset: str, transforms: Transforms | None = None, seed: int = 0
) -> BoxDataset:
    """A subset of a prepared folder, or of COCO in its usual folders.

    Raises ValueError for everything that the annotations can show to be wrong, and at ``load`` for an image
    that cannot be decoded or is not of the size stated.
    """
    folder = Path(folder)
    if (folder / "dataset.json").is_file():
        return _open_prepared(folder, subset, transforms, seed)
    return _open_coco(folder, subset, transforms, seed)


def _open_prepared(folder: Path, subset: str, transforms: Transforms | None, seed: int) -> BoxDataset:
    """``subset`` as in ``datasets.prepared.subsets.read_subset``: a split, ``train@1/5`` or ``train:25``."""
    header = read_header(folder, "box_classes")
    classes = BoxClasses.from_dict(header["box_classes"], str(folder / "dataset.json"))
    records = read_subset(folder, subset, header, partial(_read_records, classes=classes))
    return BoxDataset(
        records,
        classes,
        read_colour_png if header["colour"] else read_png,
        folder=folder,
        subset=subset,
        transforms=transforms,
        seed=seed,
        repeated=repeated_cases(header, tuple(record.file.stem for record in records)),
    )


def _read_records(file: Path, data: dict[str, Any], classes: BoxClasses) -> tuple[BoxRecord, ...]:
    """What was prepared is sound, so whatever had to be repaired is an error."""
    faults = Faults(str(file))
    if coco_classes(data, faults.source).ids != classes.ids:
        faults.error("not the classes of dataset.json.")
    find = partial(find_image, (file.parent.parent / "images",))
    records = read_coco(data, classes, faults, find, picture_size)
    faults.errors += faults.repair_sentences()
    faults.raise_errors()
    return tuple(records)


def _open_coco(folder: Path, subset: str, transforms: Transforms | None, seed: int) -> BoxDataset:
    """Every image as RGB, as COCO's models want it."""
    file, images = find_subset(folder, subset)
    data = read_json(file)
    classes = coco_classes(data, str(file))
    faults = Faults(str(file))
    records = read_coco(data, classes, faults, partial(find_image, (images,)), picture_size)
    warn_of_absent(records, classes, faults)
    faults.raise_errors()
    faults.log_repairs()
    return BoxDataset(
        records, classes, read_rgb, folder=folder, subset=subset, transforms=transforms, seed=seed
    )


def read_rgb(file: Path, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8. Raises ValueError for a file that is no image, or not of ``size``, width first."""
    return as_colour(read_sized(file, size))


def read_grey_of(file: Path, size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8. Raises ValueError for a file that is no image, or not of ``size``, width first."""
    return as_grey(read_sized(file, size))


def read_sized(file: Path, size: tuple[int, int]) -> np.ndarray:
    """A picture, grey or RGB, that must be of ``size``, width first."""
    image = read_picture(file, size)
    if image.shape[1::-1] != size:
        raise ValueError(
            f"{file}: {image.shape[1]}x{image.shape[0]} pixels, annotated as {size[0]}x{size[1]}. "
            "Give the image that was annotated, or correct its size."
        )
    return image

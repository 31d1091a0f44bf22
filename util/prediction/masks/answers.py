"""How the masks that a model finds are written down: JSON and CSV, and other forms as asked."""

import csv
import io
import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pycocotools import mask as coco_masks

from datasets.files.image_files import SourceImage
from datasets.masks.class_set import ClassSet
from util.files import open_atomic, printable
from util.prediction.masks.answer_files import (
    Add,
    attribute_file,
    coco_file,
    dicom_folder,
    png_folder,
    rle_file,
)
from util.prediction.masks.image_masks import ImageMasks
from util.prediction.masks.measurements import COLUMNS, csv_text, measured


@dataclass(frozen=True)
class MaskAnswers:
    """Records, files and pictures of masks (``util.prediction.protocols.Answers``).

    ``attributes`` are what the model tells of whole images, by name, with the values that it tells apart;
    with them comes FILE_attributes.csv.
    ``rle`` adds FILE_rle.csv in the hand task's form, ``coco`` FILE_coco.json, ``png`` a folder FILE_png with
    a folder a class, ``dicom_seg`` a folder FILE_seg with a Segmentation an image.
    """

    class_set: ClassSet
    labels: str
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rle: bool = False
    coco: bool = False
    png: bool = False
    dicom_seg: bool = False

    def about(self) -> dict[str, Any]:
        about = {"classes": list(self.class_set.classes), "labels": self.labels}
        told = {name: list(values) for name, values in self.attributes.items()}
        return about | ({"attributes": told} if told else {})

    def record(self, image: SourceImage, found: ImageMasks) -> dict[str, Any]:
        """One image as JSON: where it is from, COCO's run lengths (by columns) and sizes of every class."""
        sizes = {row["class"]: row for row in measured(found, self.class_set.classes)}
        masks = []
        for name, mask in zip(self.class_set.classes, found.masks(), strict=True):
            code: Any = coco_masks.encode(np.asfortranarray(mask, np.uint8))
            runs = {"size": list(mask.shape), "counts": code["counts"].decode()}
            masks.append({"class": name, "area_px": 0, **sizes.get(name, {}), "rle": runs})
        return {
            "file": printable(image.file),
            "slice": image.slice,
            "width": found.size[0],
            "height": found.size[1],
            "spacing_mm": found.spacing.tolist() if np.isfinite(found.spacing).all() else None,
            **({"attributes": _most_probable(found)} if found.attributes else {}),
            **found.notes,
            "masks": masks,
        }

    def overlay(self, image: SourceImage, found: ImageMasks) -> np.ndarray:
        """(H, W, 3) uint8 RGB: outlines, a colour a class, so that nothing hides what lies under it."""
        from util.reporting.masks.mask_drawing import outlined, palette

        return outlined(image.image, found.masks(), palette(len(self.class_set)))

    def write(
        self,
        file: Path,
        *,
        model: Mapping[str, Any],
        left_out: Mapping[str, int],
        images: Iterable[dict],
        failed: Sequence[dict],
    ) -> int:
        """FILE.json, FILE.csv with the sizes of what was found, the ``_others``; the number of images.

        One record is in memory at a time; ``failed`` is read last.
        """
        with ExitStack() as files:
            numbers, table = (
                files.enter_context(open_atomic(file.with_suffix(kind))) for kind in (".json", ".csv")
            )
            further = [files.enter_context(other) for other in self._others(file)]
            head = f'"model": {_json(dict(model), 1)},\n "left_out": {_json(dict(left_out), 1)}'
            _write(numbers, f'{{\n {head},\n "images": [')
            _write(table, _csv([COLUMNS]))
            count = 0
            for count, image in enumerate(images, start=1):
                _write(numbers, f"{',' if count > 1 else ''}\n  {_json(image, 2)}")
                rows = [found for found in image["masks"] if found["area_px"]]
                _write(table, csv_text(rows, image["file"], image["slice"]))
                for write in further:
                    write(image)
            end = "\n " if count else ""
            _write(numbers, f'{end}],\n "failed": {_json(list(failed), 1)}\n}}\n')
        return count

    def _others(self, file: Path) -> Iterator[AbstractContextManager[Add]]:
        """Beside FILE.json and FILE.csv: attributes where the model tells them, and what was asked for."""
        kinds = ("attributes", "rle", "coco", "png", "seg")
        beside = {kind: file.with_name(f"{file.stem}_{kind}") for kind in kinds}
        if self.attributes:
            yield attribute_file(beside["attributes"].with_suffix(".csv"), self.attributes)
        if self.rle:
            yield rle_file(beside["rle"].with_suffix(".csv"))
        if self.coco:
            yield coco_file(beside["coco"].with_suffix(".json"), self.class_set.classes)
        if self.png:
            yield png_folder(beside["png"], self.class_set.classes)
        if self.dicom_seg:
            yield dicom_folder(beside["seg"])


def _most_probable(found: ImageMasks) -> dict[str, dict[str, Any]]:
    """The value of every attribute, with its probability."""
    best = {name: max(values, key=values.__getitem__) for name, values in found.attributes.items()}
    return {
        name: {"value": value, "probability": found.attributes[name][value]} for name, value in best.items()
    }


def _json(value: Any, depth: int) -> str:
    """Indented as it would be at ``depth`` levels inside ``json.dumps(..., indent=1)``."""
    text = json.dumps(value, indent=1, allow_nan=False)
    return textwrap.indent(text, " " * depth).lstrip(" ")


def _csv(rows: Sequence[tuple]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _write(stream: BinaryIO, text: str) -> None:
    stream.write(text.encode())

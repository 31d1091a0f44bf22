"""How the masks that a model finds are written down: JSON and CSV, and as asked row-wise RLE and PNGs."""

import csv
import io
import json
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from pycocotools import mask as coco

from datasets.files.image_files import SourceImage
from datasets.masks.class_set import ClassSet
from util.files import open_atomic, printable, write_atomic
from util.prediction.masks.image_masks import ImageMasks
from util.prediction.masks.measurements import COLUMNS, csv_text, measured
from util.prediction.masks.run_lengths import encode_rows


@dataclass(frozen=True)
class MaskAnswers:
    """Records, files and pictures of masks (``util.prediction.protocols.Answers``).

    ``rle`` adds FILE_rle.csv in the hand task's form, ``png`` a folder FILE_png with a folder a class.
    """

    class_set: ClassSet
    labels: str
    rle: bool = False
    png: bool = False

    def about(self) -> dict[str, Any]:
        return {"classes": list(self.class_set.classes), "labels": self.labels}

    def record(self, image: SourceImage, found: ImageMasks) -> dict[str, Any]:
        """One image as JSON: where it is from, COCO's run lengths (by columns) and sizes of every class."""
        sizes = {row["class"]: row for row in measured(found, self.class_set.classes)}
        masks = []
        for name, mask in zip(self.class_set.classes, found.masks(), strict=True):
            code: Any = coco.encode(np.asfortranarray(mask, np.uint8))
            runs = {"size": list(mask.shape), "counts": code["counts"].decode()}
            masks.append({"class": name, "area_px": 0, **sizes.get(name, {}), "rle": runs})
        return {
            "file": printable(image.file),
            "slice": image.slice,
            "width": found.size[0],
            "height": found.size[1],
            "spacing_mm": found.spacing.tolist() if np.isfinite(found.spacing).all() else None,
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
        """FILE.json, FILE.csv with the sizes of what was found, what was asked for; the number of images.

        One record is in memory at a time; ``failed`` is read last.
        """
        with ExitStack() as files:
            numbers, table = (
                files.enter_context(open_atomic(file.with_suffix(kind))) for kind in (".json", ".csv")
            )
            further = [self._rle_rows(files, file)] if self.rle else []
            further += [partial(_write_pngs, file.with_name(f"{file.stem}_png"))] if self.png else []
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

    def _rle_rows(self, files: ExitStack, file: Path) -> Callable[[Mapping[str, Any]], None]:
        """Opens FILE_rle.csv; what writes an image's rows to it."""
        stream = files.enter_context(open_atomic(file.with_name(f"{file.stem}_rle.csv")))
        _write(stream, _csv([("image_name", "class", "rle")]))
        return lambda image: _write(stream, _csv(list(_run_rows(image))))


def decoded(found: Mapping[str, Any]) -> np.ndarray:
    """(H, W) bool of one entry of a record's ``masks``."""
    code: Any = {"size": found["rle"]["size"], "counts": found["rle"]["counts"].encode()}
    return coco.decode(code).astype(bool)


def _run_rows(image: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """image_name without a folder, class, runs: a row for every class, empty cells too."""
    name = _name(image)
    return ((name, found["class"], encode_rows(decoded(found))) for found in image["masks"])


def _write_pngs(folder: Path, image: Mapping[str, Any]) -> None:
    """CLASS/STEM.png, 0 and 255, for every class."""
    stem = Path(_name(image)).stem
    for found in image["masks"]:
        png = cv2.imencode(".png", decoded(found).astype(np.uint8) * 255)[1].tobytes()
        write_atomic(folder / found["class"] / f"{stem}.png", png)


def _name(image: Mapping[str, Any]) -> str:
    file = Path(image["file"])
    return file.name if image["slice"] is None else f"{file.stem}_slice{image['slice']:04d}.png"


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

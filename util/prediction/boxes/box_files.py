"""Boxes of any images as JSON, CSV and COCO results: the output of inference."""

import csv
import io
import json
import logging
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from util.files import open_atomic

_COLUMNS = ("file", "slice", "name", "category_id", "score", "left", "top", "width", "height")
_MM_COLUMNS = ("width_mm", "height_mm")
_log = logging.getLogger(__name__)


def write_box_files(
    file: Path,
    *,
    model: Mapping[str, Any],
    left_out: Mapping[str, int],
    images: Iterable[dict],
    failed: Sequence[dict],
    show_conf: float,
) -> int:
    """FILE.json, FILE.csv and FILE.coco.json, each written atomically; the number of images.

    FILE.json has every image with its detections, FILE.coco.json the bare list that COCO's tools read, both
    of any score; FILE.csv a row a detection from ``show_conf`` on. One image is in memory at a time. An
    ``image_id`` that an earlier image has is replaced by the whole path, and told.
    ``failed`` is read after the images, so it may grow while they come.
    """
    with (
        open_atomic(file.with_suffix(".json")) as numbers,
        open_atomic(file.with_suffix(".csv")) as table,
        open_atomic(file.with_suffix(".coco.json")) as coco,
    ):
        _write(table, _csv([(*_COLUMNS, *_MM_COLUMNS)]))
        head = f'{{\n "model": {_json(dict(model))},\n "left_out": {_json(dict(left_out))},\n "images": ['
        _write(numbers, head)
        _write(coco, "[")
        count, results, taken = 0, 0, dict[int | str, str]()
        for count, given in enumerate(images, start=1):
            image = _told_apart(given, taken)
            _write(numbers, f"{',' if count > 1 else ''}\n  {json.dumps(image, allow_nan=False)}")
            _write(table, _csv(_rows(image, show_conf)))
            for result in coco_results(image):
                _write(coco, f"{',' if results else ''}\n {json.dumps(result, allow_nan=False)}")
                results += 1
        end = "\n " if count else ""
        _write(numbers, f'{end}],\n "failed": {_json(list(failed))}\n}}\n')
        _write(coco, "\n]\n" if results else "]\n")
    return count


def _told_apart(image: dict[str, Any], taken: dict[int | str, str]) -> dict[str, Any]:
    """``image`` with an ``image_id`` that is not among ``taken``, which it joins."""
    number = image["image_id"]
    if number in taken:
        path = image["file"] if image["slice"] is None else f"{image['file']}:{image['slice']}"
        _log.warning("%s: image_id %r is that of %s already; it gets its path", path, number, taken[number])
        image, number = {**image, "image_id": path}, path
    taken[number] = image["file"]
    return image


def coco_results(image: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The detections of a record in COCO's results format, with the source's category ids."""
    return [
        {
            "image_id": image["image_id"],
            "category_id": box["category_id"],
            "bbox": box["bbox"],
            "score": box["score"],
        }
        for box in image["boxes"]
    ]


def _rows(image: Mapping[str, Any], show_conf: float) -> list[tuple]:
    """A row a detection; an empty cell stands for an unknown value."""
    return [
        (
            *(image["file"], image["slice"], box["name"], box["category_id"], box["score"]),
            *box["bbox"],
            *(box[name] for name in _MM_COLUMNS),
        )
        for box in image["boxes"]
        if box["score"] >= show_conf
    ]


def _json(value: Any) -> str:
    return textwrap.indent(json.dumps(value, indent=1, allow_nan=False), " ").lstrip(" ")


def _csv(rows: Sequence[tuple]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _write(stream: BinaryIO, text: str) -> None:
    stream.write(text.encode())

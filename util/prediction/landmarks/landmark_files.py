"""Landmarks of any images as JSON and CSV: the output of inference."""

import csv
import io
import json
import logging
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from datasets.files.image_files import SourceImage
from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.case import INDEX_TO_CONTINUOUS
from util.files import open_atomic, printable
from util.prediction.landmarks.image_landmarks import ImageLandmarks

logger = logging.getLogger(__name__)

_LANDMARK_KEYS = ("index", "name", "x", "y", "x_mm", "y_mm", "uncertainty_px", "uncertainty_mm")


def image_record(image: SourceImage, found: ImageLandmarks, landmark_set: LandmarkSet) -> dict[str, Any]:
    """One image as JSON: where it comes from and its landmarks, without its pixels.

    x, y: source pixels in index coordinates, the centre of the top-left pixel is (0, 0); x_mm, y_mm: the same
    times the spacing. Millimetres are None where the spacing is unknown.
    """
    pixels = found.points - INDEX_TO_CONTINUOUS  # (K, 2)
    columns = (*pixels.T, *(pixels * image.spacing).T, found.uncertainty_px, found.uncertainty_mm)
    names = enumerate(landmark_set.landmarks, start=1)
    rows = ([*name, *map(_known, values)] for name, *values in zip(names, *columns, strict=True))
    spacing = [_known(mm) for mm in image.spacing]
    return {
        "file": printable(image.file),
        "slice": image.slice,
        "width": image.image.shape[1],
        "height": image.image.shape[0],
        "spacing_mm": None if None in spacing else spacing,
        "spacing_source": image.spacing_source,
        "pose": found.pose,
        "plausible": found.plausible,
        "plausible_reason": found.plausible_reason,
        "landmarks": [dict(zip(_LANDMARK_KEYS, row, strict=True)) for row in rows],
    }


def no_such_xray(image: Mapping[str, Any]) -> str:
    """The warning that belongs beside the landmarks of an implausible ``image`` record; empty otherwise."""
    if image.get("plausible") is not False:
        return ""
    return f"These landmarks may be of no such X-ray: {image.get('plausible_reason')}."


def write_landmark_files(
    file: Path,
    *,
    model: dict[str, Any],
    left_out: dict[str, int],
    images: Iterable[dict],
    failed: Sequence[dict],
) -> int:
    """``file`` as JSON and its .csv neighbour, a row a landmark; each written atomically. The images' number.

    One image is in memory at a time. ``left_out``: how many files that are no images lay in the folders, by
    kind. ``failed`` is read after the images, so it may grow while they come.
    """
    with open_atomic(file.with_suffix(".json")) as numbers, open_atomic(file.with_suffix(".csv")) as table:
        _write(table, _csv([("file", "slice", *_LANDMARK_KEYS, "plausible")]))
        _write(numbers, f'{{\n "model": {_json(model, 1)},\n "left_out": {_json(left_out, 1)},\n "images": [')
        count = implausible = unmeasured = 0
        for count, image in enumerate(images, start=1):
            _write(numbers, f"{',' if count > 1 else ''}\n  {_json(image, 2)}")
            _write(table, _csv(_rows(image)))
            implausible += image["plausible"] is False
            unmeasured += "not_measured" in image
        end = "\n " if count else ""
        _write(numbers, f'{end}],\n "failed": {_json(list(failed), 1)}\n}}\n')
    if implausible:
        logger.warning("%d of %d images are implausible: see plausible_reason", implausible, count)
    if unmeasured:
        logger.warning("%d of %d images could not be measured: see not_measured", unmeasured, count)
    return count


def _json(value: Any, depth: int) -> str:
    """Indented as it would be at ``depth`` levels inside ``json.dumps(..., indent=1)``."""
    text = json.dumps(value, indent=1, allow_nan=False)
    return textwrap.indent(text, " " * depth).lstrip(" ")


def _rows(image: dict) -> list[tuple]:
    """A row a landmark; an empty cell stands for an unknown value."""
    return [
        (image["file"], image["slice"], *(landmark[key] for key in _LANDMARK_KEYS), image["plausible"])
        for landmark in image["landmarks"]
    ]


def _csv(rows: Sequence[tuple]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _write(stream: BinaryIO, text: str) -> None:
    stream.write(text.encode())


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

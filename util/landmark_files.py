"""Landmarks of any images as JSON and CSV: the output of inference."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets.image_files import SourceImage
from datasets.landmarks import LandmarkSet
from datasets.prepared import INDEX_TO_CONTINUOUS
from util.files import write_atomic
from util.metrics import json_ready
from util.predict import ImageLandmarks

_LANDMARK_KEYS = ("index", "name", "x", "y", "x_mm", "y_mm", "uncertainty_px", "uncertainty_mm")


def image_record(image: SourceImage, found: ImageLandmarks, landmark_set: LandmarkSet) -> dict[str, Any]:
    """One image as JSON: where it comes from and its landmarks, without its pixels.

    x, y: source pixels in index coordinates, the centre of the top-left pixel is (0, 0); x_mm, y_mm: the same
    times the spacing. Millimetres are None where the spacing is unknown.
    """
    pixels = found.points - INDEX_TO_CONTINUOUS  # (K, 2)
    columns = (*pixels.T, *(pixels * image.spacing).T, found.uncertainty_px, found.uncertainty_mm)
    names = enumerate(landmark_set.landmarks, start=1)
    rows = ([*name, *map(float, values)] for name, *values in zip(names, *columns, strict=True))
    spacing = image.spacing.tolist()
    return {
        "file": str(image.file),
        "slice": image.slice,
        "width": image.image.shape[1],
        "height": image.image.shape[0],
        "spacing_mm": None if None in json_ready(spacing) else spacing,
        "landmarks": [json_ready(dict(zip(_LANDMARK_KEYS, row, strict=True))) for row in rows],
    }


def write_landmark_files(
    file: Path, *, model: dict[str, Any], images: Sequence[dict], failed: Sequence[dict]
) -> None:
    """``file`` as JSON and its .csv neighbour, a row a landmark; each written atomically."""
    content = {"model": model, "images": list(images), "failed": list(failed)}
    write_atomic(file.with_suffix(".json"), json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_atomic(file.with_suffix(".csv"), _csv(images))


def _csv(images: Sequence[dict]) -> str:
    """An empty cell stands for an unknown value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "slice", *_LANDMARK_KEYS))
    for image in images:
        for landmark in image["landmarks"]:
            writer.writerow((image["file"], image["slice"], *(landmark[key] for key in _LANDMARK_KEYS)))
    return text.getvalue()

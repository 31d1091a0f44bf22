"""Sizes of structures: area, length and width along their main axis, and what they share with others."""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from util.prediction.masks.image_masks import ImageMasks

COLUMNS = (
    "file",
    "slice",
    "class",
    "area_px",
    "area_mm2",
    "length_mm",
    "width_mm",
    "angle_degrees",
    "center_x",
    "center_y",
    "overlap_px",
    "overlap_mm2",
    "overlaps",
)


def measured(found: ImageMasks, classes: Sequence[str]) -> list[dict[str, Any]]:
    """A record a structure that has pixels; lengths in mm are None where the spacing is unknown.

    Length and width are the extents of the pixels along the main axis, that of their largest variance, and
    across it; the angle is the main axis's, from the right downwards, in [-90, 90). The centre is in index
    coordinates of the image: the first pixel's centre is (0, 0). ``overlap`` are pixels that other structures
    have too, and ``overlaps`` says which, with the share of this structure.
    """
    counts = sum(mask.astype(np.uint8) for mask in found.masks())
    several = np.asarray(counts) >= 2
    records = []
    for k, name in enumerate(classes):
        mask = found.mask(k)
        area = int(mask.sum())
        if not area:
            continue
        shared = mask & several
        others = {}
        if shared.any():
            common = {other: int((shared & found.mask(j)).sum()) for j, other in enumerate(classes) if j != k}
            others = {other: round(pixels / area, 4) for other, pixels in common.items() if pixels}
        pixel = float(found.spacing.prod())
        records.append(
            {
                "class": name,
                "area_px": area,
                "area_mm2": _known(area * pixel),
                **_axis(mask, found.spacing),
                "overlap_px": int(shared.sum()),
                "overlap_mm2": _known(int(shared.sum()) * pixel),
                "overlaps": others,
            }
        )
    return records


def csv_text(rows: Sequence[dict[str, Any]], file: str, slice_: int | None) -> str:
    """Lines of CSV, without the header; an empty cell stands for an unknown value."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in rows:
        overlaps = " ".join(f"{name}:{share:g}" for name, share in row["overlaps"].items())
        values = {**row, "file": file, "slice": slice_, "overlaps": overlaps}
        writer.writerow(["" if values[column] is None else values[column] for column in COLUMNS])
    return stream.getvalue()


def _axis(mask: np.ndarray, spacing: np.ndarray) -> dict[str, float | None]:
    in_mm = bool(np.isfinite(spacing).all())
    unit = spacing if in_mm else np.ones(2)
    rows, columns = mask.nonzero()
    points = np.stack([columns, rows], -1) * unit
    middle = points.mean(0)
    away = points - middle
    _, axes = np.linalg.eigh(away.T @ away)  # smaller first; directions are columns
    across, along = axes.T
    if along[0] < 0 or (along[0] == 0 and along[1] > 0):
        along = -along
    angle = math.degrees(math.atan2(along[1], along[0]))
    length, width = (
        float(np.ptp(away @ axis) + np.abs(axis * unit).sum()) if in_mm else None for axis in (along, across)
    )
    x, y = middle / unit
    return {
        "length_mm": length,
        "width_mm": width,
        "angle_degrees": angle,
        "center_x": float(x),
        "center_y": float(y),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None

"""The boxes of one image as their file states them, checked, in the coordinates of this repository."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.boxes import geometry
from datasets.boxes.class_set import BoxClasses
from datasets.boxes.faults import Faults

_DECIMALS = 6  # of a pixel: what differs by less is one number, so that it stays so when it is written
_ROUNDING = 1.0  # pixels beyond the border that are put down to rounding and cut off without a word


@dataclass(frozen=True)
class StatedBox:
    """One object before it is checked."""

    box: tuple[float, float, float, float]  # left, top, right, bottom in continuous pixels
    label: int
    ignored: bool
    area: float | None  # of its outline, where that is known
    name: str  # how messages call it


@dataclass(frozen=True)
class BoxRecord:
    """One image of a data set and the N objects on it."""

    file: Path
    size: tuple[int, int]  # (width, height)
    boxes: np.ndarray  # (N, 4) float64, left, top, right, bottom in continuous pixels, inside the image
    labels: np.ndarray  # (N,) int64
    ignored: np.ndarray  # (N,) bool: crowd or difficult
    areas: np.ndarray  # (N,) float64, pixels
    spacing: np.ndarray  # (2,) mm per pixel, NaN where unknown
    image_id: int  # what the source calls the image; unique within a subset


def checked(objects: Iterable[StatedBox], size: tuple[int, int], faults: Faults) -> dict[str, np.ndarray]:
    """boxes, labels, ignored and areas of a ``BoxRecord`` from the sound objects of an image of ``size``.

    Errors: NaN, and boxes wholly outside. Repairs: empty ones and those given twice are left out, those
    that reach beyond the border by more than rounding are cut off there.
    """
    kept: dict[tuple, StatedBox] = {}
    for item in objects:
        box = _sound(item, size, faults)
        if box is None:
            continue
        key = (*box, item.label, item.ignored)
        if key in kept:
            faults.repair("boxes given twice left out", f"{item.name} = {kept[key].name}")
            continue
        kept[key] = item
    boxes = np.array([key[:4] for key in kept], np.float64).reshape(-1, 4)
    stated = np.array([np.nan if item.area is None else item.area for item in kept.values()], np.float64)
    return {
        "boxes": boxes,
        "labels": np.array([item.label for item in kept.values()], np.int64),
        "ignored": np.array([item.ignored for item in kept.values()], bool),
        "areas": np.where(stated > 0, stated, geometry.areas(boxes)),
    }


def warn_of_absent(records: Iterable[BoxRecord], classes: BoxClasses, faults: Faults) -> None:
    """Note the classes without an object. Errors: no object at all, crowds not counted; boxes in shares."""
    counts = np.zeros(len(classes), np.int64)
    crowded = 0
    records = list(records)
    filled = [record for record in records if len(record.labels)]
    if filled and all(record.boxes.max() <= 1.0 < min(record.size) for record in filled):
        faults.error("every box lies within the first pixel of its image: shares of it? Expected pixels.")
    for record in records:
        counts += np.bincount(record.labels[~record.ignored], minlength=len(classes))
        crowded += bool(len(record.labels)) and bool(record.ignored.all())
    if not counts.any():
        crowds = f" ({crowded} images have crowds or difficult ones only)" if crowded else ""
        faults.error(f"no object in any image{crowds}, expected at least one box.")
    elif crowded:
        faults.repair("images kept that show crowds or difficult objects only", str(crowded))
    for label in np.flatnonzero(counts == 0) if counts.any() else ():
        faults.repair("classes have no box here", repr(classes.names[label]))


def _sound(item: StatedBox, size: tuple[int, int], faults: Faults) -> tuple[float, ...] | None:
    """The box inside the image; None after a fault that leaves no box."""
    left, top, right, bottom = (round(side, _DECIMALS) for side in item.box)
    if not np.isfinite(item.box).all():
        faults.error(f"{item.name}: box {_told(item.box)} holds NaN or infinity, expected numbers.")
        return None
    if right <= left or bottom <= top:
        faults.repair("empty boxes left out", f"{item.name} ({right - left:g} x {bottom - top:g})")
        return None
    width, height = size
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        faults.error(
            f"{item.name}: box {_told(item.box)} (left, top, right, bottom) lies outside of its image of "
            f"{width}x{height}. Correct the box or the size of the image."
        )
        return None
    if max(-left, -top, right - width, bottom - height) > _ROUNDING:
        faults.repair("boxes cut off at the border of their image", f"{item.name} {_told(item.box)}")
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))


def _told(box: Iterable[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in box) + "]"

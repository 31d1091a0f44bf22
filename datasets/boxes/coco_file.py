"""COCO annotation files (``instances_*.json``) as records: https://cocodataset.org/#format-data."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.boxes.class_set import BoxClasses
from datasets.boxes.faults import Faults
from datasets.boxes.named_images import Owners
from datasets.boxes.objects import BoxRecord, StatedBox, checked
from datasets.prepared.case import check_spacing

FindFile = Callable[[str], Path]  # file name as stated -> where it lies; ValueError where it does not
ReadSize = Callable[[Path], tuple[int, int]]


def read_coco(
    data: Mapping[str, Any], classes: BoxClasses, faults: Faults, find: FindFile, read_size: ReadSize
) -> list[BoxRecord]:
    """The images of a COCO file in its order. What is wrong goes to ``faults``; its errors are not raised.

    read_size: gives (width, height) of an image whose size is not stated.
    """
    images, annotations = _lists(data, faults)
    by_image = _grouped(images, annotations, faults)
    records, owners = [], Owners(faults)
    for image in images:
        try:
            record = _record(image, by_image.get(image["id"], ()), classes, faults, find, read_size)
        except (KeyError, TypeError, ValueError) as error:
            missing = f"no {error}" if isinstance(error, KeyError) else str(error)
            faults.error(f"image {image.get('id')!r} ({image.get('file_name')!r}): {missing.rstrip('.')}.")
            continue
        if owners.takes(f"image {record.image_id} ({image['file_name']!r})", record.file):
            records.append(record)
    return records


def coco_classes(data: Mapping[str, Any], source: str) -> BoxClasses:
    """The classes of a COCO file. Raises ValueError where there are none, and for a file of landmarks."""
    categories = data.get("categories")
    if not isinstance(categories, Sequence) or not all(isinstance(item, Mapping) for item in categories):
        raise ValueError(f"{source}: no list `categories`, expected a COCO file of boxes (instances_*.json).")
    boxes_too = any("bbox" in item for item in data.get("annotations") or () if isinstance(item, Mapping))
    if any("keypoints" in category for category in categories) and not boxes_too:
        raise ValueError(
            f"{source}: keypoints and no boxes, expected a COCO file of boxes (instances_*.json)."
        )
    return BoxClasses.from_categories(categories, source)


def _lists(data: Mapping[str, Any], faults: Faults) -> tuple[list[dict], list[dict]]:
    """Images and annotations, each with an id of its own."""
    lists = []
    for name in ("images", "annotations"):
        items = data.get(name)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError(f"{faults.source}: no list `{name}`, expected a COCO file of boxes.")
        lists.append(items)
    images, annotations = lists
    if not images:
        faults.error("no image, expected at least one.")
    known: dict[int, dict] = {}
    for image in images:
        number = image.get("id")
        if not isinstance(number, int) or number in known:
            faults.error(f"image id {number!r} of {image.get('file_name')!r}: expected integers, each once.")
            continue
        known[number] = image
    return list(known.values()), annotations


def _grouped(images: list[dict], annotations: list[dict], faults: Faults) -> dict[Any, list[dict]]:
    groups: dict[Any, list[dict]] = {image["id"]: [] for image in images}
    for annotation in annotations:
        image_id = annotation.get("image_id")
        if not isinstance(image_id, int | float) or image_id not in groups:
            faults.error(
                f"annotation {annotation.get('id')!r} is of image {image_id!r}, which is not among the "
                f"{len(images)} images. Remove it or add the image."
            )
            continue
        groups[image_id].append(annotation)
    return groups


def _record(
    image: dict[str, Any],
    annotations: Sequence[dict[str, Any]],
    classes: BoxClasses,
    faults: Faults,
    find: FindFile,
    read_size: ReadSize,
) -> BoxRecord:
    file = find(str(image["file_name"]))
    width, height = _size(image) or read_size(file)
    spacing = image.get("spacing")
    spacing = np.full(2, np.nan) if spacing is None else np.asarray(spacing, np.float64)
    check_spacing(spacing, file.name)
    objects = checked(_stated(annotations, file.name, classes, faults), (width, height), faults)
    return BoxRecord(file, (width, height), spacing=spacing, image_id=int(image["id"]), **objects)


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height as stated, None where they are not. Raises ValueError for what is no size."""
    stated = image.get("width"), image.get("height")
    if None in stated:
        return None
    try:
        width, height = map(int, stated)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError):
        width, height = 0, 0
    if width <= 0 or height <= 0:
        raise ValueError(f"size {stated[0]}x{stated[1]}, expected positive numbers")
    return width, height


def _area(annotation: Mapping[str, Any]) -> float | None:
    """The area as stated, None where it is not. Raises ValueError for what is no number."""
    stated = annotation.get("area")
    try:
        area = None if stated is None else float(stated)
    except (TypeError, ValueError):
        area = math.nan
    if area is not None and not math.isfinite(area):
        raise ValueError(f"area {stated!r}, expected a number. Correct it, or leave it out.")
    return area


def _stated(
    annotations: Sequence[dict[str, Any]], image: str, classes: BoxClasses, faults: Faults
) -> Iterator[StatedBox]:
    for annotation in annotations:
        name = f"annotation {annotation.get('id')!r} of {image}"
        box = annotation.get("bbox")
        if box is None:
            others = [f"{kind} but " for kind in ("keypoints", "segmentation") if kind in annotation]
            other = others[0] if others else ""
            faults.error(f"{name}: {other}no bbox, expected a file of boxes (instances_*.json).")
            continue
        try:
            left, top, width, height = map(float, box)
        except (TypeError, ValueError):
            faults.error(f"{name}: bbox {box!r}, expected x, y, width, height.")
            continue
        try:
            label, area = classes.label(annotation["category_id"]), _area(annotation)
        except KeyError as error:
            faults.error(f"{name}: no {error}.")
            continue
        except ValueError as error:
            faults.error(f"{name}: {error}")
            continue
        ignored = any(annotation.get(flag) for flag in ("iscrowd", "ignore", "difficult"))
        yield StatedBox((left, top, left + width, top + height), label, ignored, area, name)

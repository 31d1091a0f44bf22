"""COCO instances: polygons and run lengths of one file for many images."""

from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from datasets.files.kinds import stem_of
from datasets.masks.annotation import Annotation, Outlines
from datasets.masks.coco_runs import require_filled
from datasets.prepared.subsets import read_json


def read_coco(file: Path) -> tuple[tuple[str, ...], dict[str, Annotation]]:
    """Classes in the order of their ids, and the structures of each image by the stem of its file's name.

    All annotations of a class in an image are united. Masks and polygons are in the frame that the file
    states for the image. Raises ValueError for a file that is not COCO, or whose entries contradict.
    """
    data: Any = read_json(file)
    try:
        categories = {
            entry["id"]: str(entry["name"]) for entry in sorted(data["categories"], key=lambda c: c["id"])
        }
        images = {entry["id"]: entry for entry in data["images"]}
        if len(set(categories.values())) != len(categories) or len(images) != len(data["images"]):
            raise ValueError(f"{file}: a category's name or an image's id comes twice, expected once.")
        by_image: dict[Any, list[Any]] = {number: [] for number in images}
        for entry in data["annotations"]:
            if entry["image_id"] not in images or entry["category_id"] not in categories:
                raise ValueError(
                    f"{file}: annotation {entry.get('id')}: image {entry['image_id']} or category "
                    f"{entry['category_id']} is not listed. Export the file anew."
                )
            if "segmentation" not in entry:
                raise ValueError(
                    f"{file}: annotation {entry.get('id')} has no segmentation, expected outlines or run "
                    "lengths. A file of boxes goes to tools/prepare_coco.py."
                )
            by_image[entry["image_id"]].append(entry)
        found: dict[str, Annotation] = {}
        for number, image in images.items():
            annotation = _annotation(image, by_image[number], categories, file)
            if annotation.stem in found:
                raise ValueError(f"{file}: two images named {annotation.stem!r}, expected different names.")
            found[annotation.stem] = annotation
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file}: {error!r}, expected COCO's images, annotations and categories.") from error
    return tuple(categories.values()), found


def _annotation(image: Any, entries: list[Any], categories: dict[Any, str], file: Path) -> Annotation:
    stem = stem_of(str(image["file_name"]).replace("\\", "/"))
    size = _size(image, file)
    masks: dict[str, np.ndarray] = {}
    polygons: dict[str, list[np.ndarray]] = {}
    for entry in entries:
        name, segmentation = categories[entry["category_id"]], entry["segmentation"]
        where = f"{file}: annotation {entry.get('id')} of {stem}"
        if not segmentation:
            raise ValueError(
                f"{where}: no outline, expected polygons or run lengths. Draw it, or take it out."
            )
        if isinstance(segmentation, dict):
            mask = _decoded(segmentation, size, where)
            masks[name] = masks[name] | mask if name in masks else mask
        else:
            polygons.setdefault(name, []).extend(polygons_of(segmentation, where))
    outlines = {name: Outlines(tuple(parts), chains=False) for name, parts in polygons.items() if parts}
    return Annotation(stem, str(file), masks, outlines, size)


def _size(image: Any, file: Path) -> tuple[int, int]:
    size = (image["width"], image["height"])
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(f"{file}: {image['file_name']} of {size} pixels, expected whole numbers above 0.")
    return size


def polygons_of(segmentation: Any, where: str) -> list[np.ndarray]:
    """Lists of x, y, x, y ... as (V, 2) float64 each. Raises ValueError for a list that is no polygon."""
    try:
        parts = [np.array(values, np.float64) for values in segmentation]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}, expected polygons as lists of numbers x, y.") from error
    for values in parts:
        if values.ndim != 1 or len(values) % 2 or len(values) < 6:
            raise ValueError(
                f"{where}: polygon of {values.size} numbers, expected x, y of three points or more."
            )
    return [values.reshape(-1, 2) for values in parts]


def _decoded(segmentation: Any, size: tuple[int, int], where: str) -> np.ndarray:
    """(H, W) bool from run lengths, compressed or not. Raises ValueError where they do not fill the mask."""
    width, height = size
    if segmentation["size"] != [height, width]:
        raise ValueError(
            f"{where}: run lengths of size {segmentation['size']} in an image stated as {width}x{height}, "
            f"expected height and width [{height}, {width}]."
        )
    counts: Any = segmentation["counts"]
    if isinstance(counts, list):
        if sum(counts) != width * height or min(counts, default=0) < 0:
            raise ValueError(
                f"{where}: run lengths of {sum(counts)} pixels, expected {width * height}. Export it anew."
            )
        segmentation = coco.frPyObjects(segmentation, height, width)
    else:
        require_filled(str(counts).encode(), size, where)
    found: Any = segmentation
    return coco.decode(found).astype(bool)

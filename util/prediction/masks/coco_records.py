"""Found masks as COCO: an annotation a structure, run lengths column by column."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets.masks.shape import Shape
from util.files import write_atomic
from util.prediction.masks.image_masks import ImageMasks

_DECIMALS = 4


def coco_annotations(found: ImageMasks, image_id: int, first_id: int) -> list[dict[str, Any]]:
    """An annotation of every structure that has pixels; categories count from 1 in the order of classes."""
    shapes = ((k, Shape.of_mask(mask)) for k, mask in enumerate(found.masks(), start=1))
    entries = ((k, entry) for k, shape in shapes for entry in shape.segmentations(found.size, _DECIMALS))
    return [
        {"id": number, "image_id": image_id, "category_id": k, "iscrowd": 0, **entry}
        for number, (k, entry) in enumerate(entries, start=first_id)
    ]


def write_coco(file: Path, classes: Sequence[str], images: Iterable[tuple[str, ImageMasks]]) -> int:
    """Write images and annotations of one file, and return the number of images."""
    listed, annotations = [], []
    for number, (name, found) in enumerate(images, start=1):
        width, height = found.size
        spacing = found.spacing.tolist() if not any(found.spacing != found.spacing) else None
        listed.append({"id": number, "file_name": name, "width": width, "height": height, "spacing": spacing})
        annotations += coco_annotations(found, number, len(annotations) + 1)
    categories = [{"id": k, "name": name} for k, name in enumerate(classes, start=1)]
    data = {"images": listed, "annotations": annotations, "categories": categories}
    write_atomic(file, json.dumps(data, allow_nan=False) + "\n")
    return len(listed)

"""What a prepared folder of masks says about its images, checked: COCO instances, a class an annotation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.masks.case import check_attributes, check_polygons
from datasets.masks.class_set import ClassSet
from datasets.masks.coco_files import polygons_of
from datasets.masks.coco_runs import require_filled
from datasets.masks.shape import Shape
from datasets.prepared.subsets import image_of


@dataclass(frozen=True)
class MaskRecord:
    """One image of a split as its annotation file describes it."""

    file: Path
    size: tuple[int, int]  # (width, height)
    shapes: tuple[Shape, ...]  # (K,)
    spacing: np.ndarray  # (2,) mm per pixel, NaN where unknown
    person: str
    attributes: tuple[int, ...]  # index of the value of each attribute of the class set, -1 unknown
    known: tuple[bool, ...]  # (K,)


def read_mask_records(file: Path, data: dict[str, Any], class_set: ClassSet) -> tuple[MaskRecord, ...]:
    """The images of an annotation file, any number of annotations each; those of one class are united.

    Raises ValueError for an annotation that is of no image or no class.
    """
    categories = {entry["id"]: str(entry["name"]) for entry in data["categories"]}
    images = {image["id"] for image in data["images"]}
    by_image: dict[Any, list[dict[str, Any]]] = {}
    for annotation in data["annotations"]:
        image, category = annotation["image_id"], annotation["category_id"]
        if image not in images or categories.get(category) not in class_set.classes:
            raise ValueError(
                f"{file}: annotation {annotation.get('id')} of image {image} and category {category}, "
                "expected ones that the file lists. Prepare the data anew."
            )
        by_image.setdefault(image, []).append(annotation)
    return tuple(
        _record(image, by_image.get(image["id"], []), categories, class_set, file) for image in data["images"]
    )


def _record(
    image: dict, annotations: list[dict], categories: dict, class_set: ClassSet, file: Path
) -> MaskRecord:
    path, size, spacing, where = image_of(image, file)
    shapes = [Shape()] * len(class_set)
    for annotation in annotations:
        name = categories[annotation["category_id"]]
        k = class_set.classes.index(name)
        shapes[k] = shapes[k].united(_shape(annotation["segmentation"], size, f"{where}: {name}"), size)
    stated = {str(name): str(value) for name, value in image.get("attributes", {}).items()}
    check_attributes(stated, class_set, where)
    unknown = set(image.get("unknown", ()))
    return MaskRecord(
        file=path,
        size=size,
        shapes=tuple(shapes),
        spacing=spacing,
        person=str(image.get("person", path.stem)),
        attributes=tuple(
            values.index(stated[name]) if name in stated else -1
            for name, values in class_set.attributes.items()
        ),
        known=tuple(name not in unknown for name in class_set.classes),
    )


def _shape(segmentation: Any, size: tuple[int, int], where: str) -> Shape:
    if isinstance(segmentation, dict):
        if segmentation["size"] != [size[1], size[0]] or not isinstance(segmentation["counts"], str):
            raise ValueError(
                f"{where}: run lengths of a {segmentation['size']} mask, expected height and width "
                f"[{size[1]}, {size[0]}] and a string of counts. Prepare the data anew."
            )
        runs = segmentation["counts"].encode()
        require_filled(runs, size, where)
        return Shape(runs=runs)
    shape = Shape(tuple(polygons_of(segmentation, where)))
    check_polygons(shape, size, where)
    return shape

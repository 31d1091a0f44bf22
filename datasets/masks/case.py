"""One X-ray with overlapping structures, ready to be written, and what makes it sound."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from datasets.masks.class_set import ClassSet
from datasets.masks.shape import Shape
from datasets.prepared.case import check_spacing

_ROUNDING = 1e-6  # pixels by which a vertex on the border may seem to lie outside


@dataclass(frozen=True)
class MaskCase:
    """One image with its K structures.

    ``attributes`` name what metadata say of the image, by name and value: ``{"side": "left"}``; what is not
    named is unknown. ``unknown`` are classes that nobody looked for here: absent from it is not absent from
    the image.
    """

    name: str  # unique in the data set; becomes the file name
    image: np.ndarray  # (H, W) uint8, grey
    shapes: tuple[Shape, ...]  # (K,) in pixels of ``image``
    spacing: np.ndarray  # (2,) mm per pixel of ``image`` along x and y; NaN where unknown
    source_file: str  # where the image came from
    person: str  # whose image it is; images of one person are never split
    attributes: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of ``image``."""
        return self.image.shape[1], self.image.shape[0]


def check_mask_case(case: MaskCase, class_set: ClassSet, where: str) -> None:
    """Raise ValueError, beginning with ``where``, unless image, structures and spacing are sound."""
    if case.image.ndim != 2 or case.image.dtype != np.uint8 or case.image.size == 0:
        raise ValueError(f"{where}: image {case.image.shape} {case.image.dtype}, expected (H, W) uint8 grey.")
    if len(case.shapes) != len(class_set):
        raise ValueError(
            f"{where}: {len(case.shapes)} structures, expected the {len(class_set)} of class set "
            f"{class_set.name!r}, empty ones included."
        )
    for name, shape in zip(class_set.classes, case.shapes, strict=True):
        check_polygons(shape, case.size, f"{where}: {name}")
    check_attributes(case.attributes, class_set, where)
    strange = set(case.unknown) - set(class_set.classes)
    if strange:
        raise ValueError(f"{where}: unknown classes {sorted(strange)}, expected some of {class_set.classes}.")
    check_spacing(case.spacing, where)


def check_polygons(shape: Shape, size: tuple[int, int], where: str) -> None:
    """Raise ValueError unless all polygons have three vertices or more, on an image of (width, height)."""
    for number, polygon in enumerate(shape.polygons, start=1):
        if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3 or not np.isfinite(polygon).all():
            raise ValueError(
                f"{where}: polygon {number} of shape {polygon.shape}, expected three vertices or more, each "
                "two numbers."
            )
        beyond = np.maximum(-polygon, polygon - np.array(size)).max(-1)
        if (beyond > _ROUNDING).any():
            x, y = polygon[beyond.argmax()]
            raise ValueError(
                f"{where}: polygon {number} has a vertex at x={x:g}, y={y:g}, outside of the "
                f"{size[0]}x{size[1]} image. Correct it, or cut it off at the border."
            )


def check_attributes(attributes: Mapping[str, str], class_set: ClassSet, where: str) -> None:
    """Raise ValueError for an attribute, or a value, that ``class_set`` does not know."""
    for name, value in attributes.items():
        values = class_set.attributes.get(name)
        if values is None or value not in values:
            known = values or f"one of {list(class_set.attributes)} as the name"
            raise ValueError(f"{where}: attribute {name}={value!r}, expected {known}.")

"""The structures of one image as some file names them, before they are matched to an image."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from datasets.masks.raster import crosses_itself, fill, fill_chain
from datasets.masks.shape import Shape
from transforms.geometry import scale, warp_points

_FARTHEST = 1e6  # pixels; no film reaches so far
SAME_SHAPE = 0.01  # by which the ratios of width to height may differ when masks are of another size


class Notes:
    """What was noticed and mended while data were read, by kind, each with the places it was seen at."""

    def __init__(self) -> None:
        self._seen: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, where: str) -> None:
        self._seen[kind].append(where)

    def lines(self, shown: int = 5) -> list[str]:
        """A line a kind: how often, and the first few places."""
        return [
            f"{kind}: {len(places)} ({', '.join(places[:shown])}{', ...' if len(places) > shown else ''})"
            for kind, places in self._seen.items()
        ]

    def to_dict(self) -> dict[str, list[str]]:
        return dict(self._seen)


@dataclass(frozen=True)
class Outlines:
    """Polygons of one structure as they were drawn."""

    polygons: tuple[
        np.ndarray, ...
    ]  # (N, 2): of pixels named by column and row if ``chains``, else continuous
    chains: bool


@dataclass(frozen=True)
class Annotation:
    """What a file says of one image, named by the image's stem.

    ``size``: (width, height) of the frame that the structures are given in; None where it is the image's own.
    """

    stem: str
    where: str  # the file, for messages
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)  # (H, W) bool by class
    outlines: Mapping[str, Outlines] = field(default_factory=dict)  # by class
    size: tuple[int, int] | None = None

    @property
    def classes(self) -> set[str]:
        return {*self.masks, *self.outlines}

    def shapes(self, classes: tuple[str, ...], size: tuple[int, int], notes: Notes) -> tuple[Shape, ...]:
        """(K,) the structures in pixels of an image of (width, height).

        Raises ValueError for a class that is not of ``classes``, masks of another shape than the image, and
        polygons that lie outside of it. What was mended is noted.
        """
        strange = self.classes - set(classes)
        if strange:
            raise ValueError(
                f"{self.where}: unknown class {sorted(strange)}, expected some of {list(classes)}."
            )
        self._check_shape(size, notes)
        return tuple(self._shape(name, size, notes) for name in classes)

    def _check_shape(self, size: tuple[int, int], notes: Notes) -> None:
        if self.size is None or self.size == size:
            return
        ratio = (self.size[0] / self.size[1]) / (size[0] / size[1])
        if abs(ratio - 1.0) > SAME_SHAPE:
            raise ValueError(
                f"{self.where}: structures on {self.size[0]}x{self.size[1]} pixels, the image has "
                f"{size[0]}x{size[1]}: another shape. Give masks of the image's size or of its shape."
            )
        notes.add(f"scaled from {self.size[0]}x{self.size[1]} to {size[0]}x{size[1]}", self.stem)

    def _shape(self, name: str, size: tuple[int, int], notes: Notes) -> Shape:
        where = f"{self.stem}: {name}"
        shape = Shape()
        if name in self.masks:
            shape = Shape.of_mask(_resized(self.masks[name], size))
        if name in self.outlines:
            shape = shape.united(self._outlined(self.outlines[name], size, where, notes), size)
        if not shape or (shape.runs is None and not shape.mask(size).any()):  # polygons between centres
            notes.add("no such structure", where)
            return Shape()
        return shape

    def _outlined(self, outlines: Outlines, size: tuple[int, int], where: str, notes: Notes) -> Shape:
        """Polygons stay polygons; chains of pixels, and what reaches beyond the image, become pixels."""
        frame = self.size or size
        if len(outlines.polygons) > 1:
            notes.add("several polygons of a class, united", where)
        kept, mask = [], np.zeros(size[::-1], bool)
        for polygon in outlines.polygons:
            limit = np.array(frame) - (1 if outlines.chains else 0)
            _check_polygon(polygon, limit, f"{self.where}: {where}")
            beyond = bool(((polygon < 0) | (polygon > limit)).any())
            if beyond:
                notes.add("reaches beyond the image, cut off", where)
            if crosses_itself(polygon + (0.5 if outlines.chains else 0.0), frame):
                notes.add("crosses itself, filled without holes", where)
            if outlines.chains:
                mask |= _resized(fill_chain(polygon, frame), size)
                continue
            if len(polygon) < 3:
                notes.add("fewer than three points, which enclose no pixel", where)
            moved = warp_points(polygon, scale(size[0] / frame[0], size[1] / frame[1]))
            if beyond or len(polygon) < 3:
                mask |= fill(moved, size)
            else:
                kept.append(moved)
        return Shape(tuple(kept)).united(Shape.of_mask(mask), size)


def _check_polygon(polygon: np.ndarray, limit: np.ndarray, where: str) -> None:
    """limit: (2,) the largest x and y on the image."""
    if polygon.ndim != 2 or polygon.shape[1:] != (2,) or not len(polygon):
        raise ValueError(f"{where}: polygon of {polygon.shape} numbers, expected a list of [x, y].")
    far = ~(np.abs(polygon) < _FARTHEST).all(1)
    if far.any():
        x, y = polygon[far][0]
        raise ValueError(f"{where}: a vertex at x={x:g}, y={y:g}, expected pixels of the image. Correct it.")
    if (polygon.max(0) < 0).any() or (polygon.min(0) > limit).any():
        x, y = polygon[0]
        raise ValueError(
            f"{where}: the whole polygon (from x={x:g}, y={y:g}) is outside of the image, which ends at "
            f"x={limit[0]}, y={limit[1]}. Correct it, or leave it out."
        )


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: pixels of which the mask covers half or more."""
    if mask.shape[::-1] == size:
        return mask
    way = cv2.INTER_AREA if mask.shape[1] > size[0] else cv2.INTER_LINEAR
    return cv2.resize(mask.astype(np.float32), size, interpolation=way) >= 0.5

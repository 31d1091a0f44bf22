"""What is stored of one structure of one image: polygons, or the run lengths of its pixels."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pycocotools import mask as coco

from datasets.masks.raster import fill


@dataclass(frozen=True)
class Shape:
    """One structure: the union of its polygons and of its pixels; empty where the image has none.

    It is small and can be pickled, whatever the size of the image.
    """

    polygons: tuple[np.ndarray, ...] = ()  # (N, 2) float64 each, continuous pixels
    runs: bytes | None = field(default=None, repr=False)  # COCO's compressed run lengths, column by column

    @classmethod
    def of_mask(cls, mask: np.ndarray) -> "Shape":
        """From (H, W) bool."""
        if not mask.any():
            return cls()
        code: Any = coco.encode(np.asfortranarray(mask, np.uint8))
        return cls(runs=code["counts"])

    def __bool__(self) -> bool:
        return bool(self.polygons) or self.runs is not None

    def united(self, other: "Shape", size: tuple[int, int]) -> "Shape":
        """Both together, on an image of (width, height)."""
        polygons = (*self.polygons, *other.polygons)
        if self.runs is None or other.runs is None:
            return Shape(polygons, self.runs if other.runs is None else other.runs)
        pixels = Shape.of_mask(self._pixels(size) | other._pixels(size))
        return Shape(polygons, pixels.runs)

    def segmentations(self, size: tuple[int, int], decimals: int) -> Iterator[dict[str, Any]]:
        """``segmentation``, ``area`` and ``bbox`` as COCO writes them: of the polygons, and of the pixels."""
        if self.polygons:
            values = [polygon.round(decimals).ravel().tolist() for polygon in self.polygons]
            area = int(Shape(self.polygons).mask(size).sum())
            low, high = (end([end(p, 0) for p in self.polygons], 0) for end in (np.min, np.max))
            yield {"segmentation": values, "area": area, "bbox": [*low.tolist(), *(high - low).tolist()]}
        if self.runs is not None:
            code: Any = {"size": [size[1], size[0]], "counts": self.runs}
            written = {"size": code["size"], "counts": self.runs.decode("ascii")}
            yield {"segmentation": written, "area": int(coco.area(code)), "bbox": coco.toBbox(code).tolist()}

    def mask(self, size: tuple[int, int]) -> np.ndarray:
        """(H, W) bool on an image of (width, height)."""
        mask = np.zeros(size[::-1], bool) if self.runs is None else self._pixels(size)
        for polygon in self.polygons:
            mask |= fill(polygon, size)
        return mask

    def _pixels(self, size: tuple[int, int]) -> np.ndarray:
        code: Any = {"size": [size[1], size[0]], "counts": self.runs}
        return coco.decode(code).astype(bool)

    def add_pixels(self, plane: np.ndarray, bit: int) -> None:
        """Set a bit of ``plane`` (H, W) uint8 where the run lengths have a pixel; polygons are left out."""
        if self.runs is None:
            return
        code: Any = {"size": list(plane.shape), "counts": self.runs}
        x, y, width, height = coco.toBbox(code).astype(int)
        window = slice(y, y + height), slice(x, x + width)
        plane[window] |= coco.decode(code)[window] << bit

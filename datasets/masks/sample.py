"""One X-ray with overlapping structures, at any point of the pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from datasets.masks.class_set import ClassSet
from datasets.masks.raster import fill
from datasets.masks.shape import Shape
from transforms.move import Move
from transforms.sample import Sample

_CORNER = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


@dataclass(frozen=True, kw_only=True)
class MaskSample(Sample):
    """An X-ray with K structures, of which any may share pixels with any other.

    What came as polygons stays polygons and becomes pixels once, in ``packed``; what came as pixels is
    warped once, by the nearest. ``shapes`` are the structures as stored, in source pixels, wherever the
    sample is.
    """

    person: str  # whose image it is: the case itself where nobody says
    class_set: ClassSet
    planes: np.ndarray  # (H, W, bytes) uint8: class k is bit k % 8 of byte k // 8
    polygons: tuple[tuple[np.ndarray, ...], ...]  # of each of K classes: (N, 2) pixels of ``image``
    known: tuple[bool, ...]  # (K,) whether someone looked for the class in this image
    attributes: tuple[int, ...]  # the index of the value of every attribute of ``class_set``, -1 unknown
    shapes: tuple[Shape, ...]  # (K,) in source pixels
    source_size: tuple[int, int]  # (width, height) of the source image

    def packed(self) -> np.ndarray:
        """(H, W, bytes) uint8: every structure as pixels of ``image``."""
        planes = self.planes.copy()
        for index, polygons in enumerate(self.polygons):
            for polygon in polygons:
                planes[..., index // 8] |= fill(polygon, self.size).astype(np.uint8) << index % 8
        return planes

    def annotation_moved(self, move: Move) -> Self:
        """The same case with its structures where ``move`` brings them; a mirror image exchanges the pairs.

        Raises ValueError for a mirror image where the pairs are not known.
        """
        corner = move.points(_CORNER)
        order = range(len(self.class_set))
        attributes = self.attributes
        if np.linalg.det(corner[1:] - corner[0]) < 0.0:
            order = self.class_set.mirrored()
            attributes = self.class_set.mirrored_attributes(attributes)
        return replace(
            self,
            planes=_reordered(_moved_planes(self.planes, move), order),
            polygons=tuple(tuple(move.points(polygon) for polygon in self.polygons[k]) for k in order),
            known=tuple(self.known[k] for k in order),
            attributes=attributes,
        )


def _moved_planes(planes: np.ndarray, move: Move) -> np.ndarray:
    """(H, W, bytes) by the nearest, four bytes at a time: OpenCV takes no more."""
    width, height = move.canvas
    moved = np.zeros((height, width, planes.shape[2]), np.uint8)
    for start in range(0, planes.shape[2], 4):
        part = planes[..., start : start + 4]
        if part.any():
            moved[..., start : start + 4] = move.labels(part).reshape(height, width, -1)
    return moved


def _reordered(planes: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Bit planes with class ``order[k]`` in the place of class k."""
    if all(index == k for k, index in enumerate(order)):
        return planes
    result = np.zeros_like(planes)
    for k, index in enumerate(order):
        result[..., k // 8] |= (planes[..., index // 8] >> index % 8 & 1) << k % 8
    return result

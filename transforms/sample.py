"""What one case is, at any point of the pipeline."""

from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np

from transforms.geometry import pixel_shape, warp_points
from transforms.move import Move

MILLIMETRES = "mm"
_ROUNDING = 1e-6  # pixels by which a point on the border may seem to lie outside after matrices


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One X-ray at any point of the pipeline. What is annotated on it is a subclass's, a task's own."""

    image: np.ndarray  # (H, W) uint8 grey, or (H, W, 3) uint8 RGB
    spacing: np.ndarray  # (2,) float64, mm per *source* pixel along x and y; NaN where unknown
    to_source: np.ndarray  # (3, 3) float64, pixels of ``image`` -> pixels of the source image
    case: str  # names the case in messages and tables

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of ``image``."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def pixel_shape(self) -> np.ndarray:
        """(2,) how long the pixels of ``image`` are along x and y beside a square of their area."""
        return pixel_shape(np.linalg.norm(self.spacing[:, None] * self.to_source[:2, :2], axis=0))

    def moved(self, move: Move) -> Self:
        """The same case on the canvas of ``move``: image, annotation, and the way back."""
        return replace(
            self.annotation_moved(move),
            image=move.image(self.image),
            to_source=self.to_source @ np.linalg.inv(move.matrix),
        )

    def annotation_moved(self, move: Move) -> Self:
        """The same case with its annotation, and nothing else, where ``move`` brings it."""
        return self

    def in_sight(self) -> Self:
        """The same case without the annotation that ``image`` does not show."""
        return self


@dataclass(frozen=True, kw_only=True)
class PointSample(Sample):
    """An X-ray with K landmarks: continuous coordinates (``transforms.geometry``), NaN where missing.

    ``spacing`` is in ``unit`` a source pixel (``datasets.landmarks.unit``), which need not be mm.
    """

    points: np.ndarray  # (K, 2) float64, pixels of ``image``
    pairs: tuple[tuple[int, int], ...] = ()  # indices of landmarks that a mirror image exchanges
    unit: str = MILLIMETRES  # what lengths are measured in, as it stands behind a number

    def annotation_moved(self, move: Move) -> Self:
        """The same with its landmarks moved; a mirror image exchanges the names of each pair.

        Raises ValueError for a mirror image where no pairs are known: the sides of a landmark set without
        them cannot be told.
        """
        points = move.points(self.points)
        return replace(self, points=points[self._mirrored()] if move.mirrors else points)

    def _mirrored(self) -> list[int]:
        """For each landmark the index of the one that takes its name in a mirror image."""
        if not self.pairs:
            raise ValueError(
                f"case {self.case!r}: a mirror image exchanges left and right, and its landmark set names no "
                "pairs. Add them to the set ('pairs', docs/data.md), or train without flips (flip=0)."
            )
        partner = dict(self.pairs) | {second: first for first, second in self.pairs}
        return [partner.get(index, index) for index in range(len(self.points))]

    def in_sight(self) -> Self:
        """The same with landmarks outside of ``image`` as missing; those on its border are inside."""
        beyond = np.maximum(-self.points, self.points - np.array(self.size)).max(-1)  # (K,) pixels
        return replace(self, points=np.where(beyond[:, None] > _ROUNDING, np.nan, self.points))

    @property
    def source_points(self) -> np.ndarray:
        """(K, 2) landmarks in source pixels."""
        return warp_points(self.points, self.to_source)


AnySample = TypeVar("AnySample", bound=Sample)

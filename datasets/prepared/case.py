"""One prepared case, and what makes it sound: checked alike before writing and after reading."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from transforms.geometry import scale, warp_image, warp_points

INDEX_TO_CONTINUOUS = 0.5  # index coordinate + 0.5 = continuous coordinate


@dataclass(frozen=True)
class PreparedCase:
    """One image with its landmarks, ready to be written."""

    name: str  # unique in the data set; becomes the file name
    image: np.ndarray  # (H, W) uint8, grey
    points: np.ndarray  # (K, 2) continuous pixels of ``image``; NaN where missing
    spacing: np.ndarray  # (2,) mm per pixel of ``image`` along x and y; NaN where unknown
    source_file: str  # where the image came from
    source_size: tuple[int, int]  # (width, height) there, padding not counted

    def shrunk(self, longer_side: int) -> "PreparedCase":
        """The same case with its longer side at most ``longer_side`` pixels; 0 keeps it. Never enlarges."""
        if longer_side < 0:
            raise ValueError(f"longer side of {longer_side} pixels, expected 0 (keep) or more.")
        height, width = self.image.shape
        if longer_side == 0 or max(height, width) <= longer_side:
            return self
        factor = longer_side / max(height, width)
        size = max(round(width * factor), 1), max(round(height * factor), 1)
        ratio = np.array([size[0] / width, size[1] / height])  # exact per axis: sizes are whole pixels
        matrix = scale(*ratio)
        points = warp_points(self.points, matrix)
        inside = np.minimum(points, size)  # rounding may carry a point of the border past it
        return replace(
            self,
            image=warp_image(self.image, matrix, size),
            points=np.where(self.outside()[:, None], points, inside),
            spacing=self.spacing / ratio,
        )

    def outside(self) -> np.ndarray:
        """(K,) whether a landmark lies beyond the border of ``image``; missing ones do not."""
        size = np.array(self.image.shape[::-1])
        return np.any((self.points < 0) | (self.points > size), axis=-1)


def check_case(case: PreparedCase, landmark_set: LandmarkSet, where: str) -> None:
    """Raise ValueError, beginning with ``where``, unless image, points and spacing of ``case`` are sound."""
    if case.image.ndim != 2 or case.image.dtype != np.uint8 or case.image.size == 0:
        raise ValueError(f"{where}: image {case.image.shape} {case.image.dtype}, expected (H, W) uint8 grey.")
    check_points(case.points, case.image.shape[::-1], landmark_set, where)
    check_spacing(case.spacing, where)


def check_points(points: np.ndarray, size: Sequence[int], landmark_set: LandmarkSet, where: str) -> None:
    """Raise ValueError unless ``points`` are (K, 2) continuous pixels inside ``size``, or NaN.

    ``size``: (width, height).
    """
    if points.shape != (len(landmark_set), 2):
        raise ValueError(
            f"{where}: {len(points)} landmarks, expected the {len(landmark_set)} of set "
            f"{landmark_set.name!r}, missing ones included."
        )
    missing = np.isnan(points).all(-1)
    inside = ((points >= 0) & (points <= np.array(size))).all(-1)
    for index in np.flatnonzero(~missing & ~inside):
        x, y = points[index] - INDEX_TO_CONTINUOUS
        raise ValueError(
            f"{where}: landmark {index + 1} ({landmark_set.landmarks[index]}) at x={x:g}, y={y:g} "
            f"is not inside the {size[0]}x{size[1]} image. Correct it, or mark it as missing "
            "(import_annotations.py --outside missing)."
        )


def check_spacing(spacing: np.ndarray, where: str) -> None:
    """Raise ValueError unless ``spacing`` is two positive numbers, or NaN twice for unknown."""
    known = np.isfinite(spacing).all() and (spacing > 0).all()
    if spacing.shape != (2,) or not (known or np.isnan(spacing).all()):
        raise ValueError(
            f"{where}: spacing {spacing.tolist()}, expected two positive numbers in mm per pixel."
        )

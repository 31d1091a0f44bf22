"""Masks without specks and pinholes, by their size on the patient."""

import math
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Cleaning:
    """What is too small to be kept: parts of a structure, and holes in it, below so many mm2.

    Off by default, since a structure may have several parts (a metacarpal and its sesamoid). Raises
    ValueError for an area below 0.
    """

    least_part_mm2: float = 0.0
    least_hole_mm2: float = 0.0

    def __post_init__(self) -> None:
        for name in ("least_part_mm2", "least_hole_mm2"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)}: expected an area in mm2 of at least 0.")

    @property
    def off(self) -> bool:
        return not self.least_part_mm2 and not self.least_hole_mm2

    def __str__(self) -> str:
        parts, holes = self.least_part_mm2, self.least_hole_mm2
        said = [f"parts below {parts:g} mm2 dropped"] if parts else []
        return ", ".join([*said, *([f"holes below {holes:g} mm2 filled"] if holes else [])])

    def require(self, spacing: np.ndarray, where: str) -> None:
        """Raise ValueError, beginning with ``where``, unless areas can be measured or none is asked for."""
        if not self.off and not np.isfinite(spacing).all():
            raise ValueError(
                f"{where}: parts and holes are measured in mm2, but the spacing of the image is unknown. "
                "Give --spacing MM, here or where the data are prepared."
            )

    def __call__(self, mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
        """(H, W) bool -> (H, W) bool. spacing: (2,) mm per pixel.

        A part holds together over corners, a hole only over edges: the one is the other's complement. What
        touches the border of the image is no hole. Raises ValueError where the spacing is unknown.
        """
        if self.off:
            return mask
        self.require(spacing, "a mask")
        pixel = float(spacing[0] * spacing[1])  # mm2
        if self.least_part_mm2:
            mask = _without_small(mask, self.least_part_mm2 / pixel, connectivity=8)
        if self.least_hole_mm2:
            mask = ~_without_small(~mask, self.least_hole_mm2 / pixel, connectivity=4, keep_border=True)
        return mask


def _without_small(
    mask: np.ndarray, least: float, *, connectivity: int, keep_border: bool = False
) -> np.ndarray:
    """``mask`` without its components of less than ``least`` pixels, but for those that reach the border."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=connectivity
    )
    if count == 1:
        return mask
    kept = statistics[:, cv2.CC_STAT_AREA] >= least
    if keep_border:
        for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            kept[np.asarray(border, np.intp)] = True
    kept[0] = False  # what is not of the mask
    return kept[np.asarray(labels, np.intp)]

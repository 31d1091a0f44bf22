"""What one case is, at any point of the pipeline."""

from dataclasses import dataclass, replace

import numpy as np

from transforms.geometry import warp_points

_ROUNDING = 1e-6  # pixels by which a point on the border may seem to lie outside after matrices


@dataclass(frozen=True)
class Sample:
    """One X-ray with its landmarks, at any point of the pipeline.

    Coordinates are continuous (``transforms.geometry``); a missing landmark is NaN.
    """

    image: np.ndarray  # (H, W) uint8, grey
    points: np.ndarray  # (K, 2) float64, pixels of ``image``
    spacing: np.ndarray  # (2,) float64, mm per *source* pixel along x and y; NaN where unknown
    to_source: np.ndarray  # (3, 3) float64, pixels of ``image`` -> pixels of the source image
    case: str  # names the case in messages and tables

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of ``image``."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def source_points(self) -> np.ndarray:
        """(K, 2) landmarks in source pixels."""
        return warp_points(self.points, self.to_source)

    def in_sight(self) -> "Sample":
        """The same with landmarks outside of ``image`` as missing; those on its border are inside."""
        beyond = np.maximum(-self.points, self.points - np.array(self.size)).max(-1)  # (K,) pixels
        return replace(self, points=np.where(beyond[:, None] > _ROUNDING, np.nan, self.points))

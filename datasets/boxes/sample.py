"""One image with its boxes, at any point of the pipeline."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class BoxSample:
    """An image with N boxes of known classes.

    Coordinates are continuous (``transforms.geometry``): a box that holds pixel columns 3 and 4 spans
    ``[3, 5]``.
    """

    image: np.ndarray  # (H, W) uint8 grey, or (H, W, 3) uint8 RGB
    spacing: np.ndarray  # (2,) float64, mm per *source* pixel along x and y; NaN where unknown
    to_source: np.ndarray  # (3, 3) float64, pixels of ``image`` -> pixels of the source image
    case: str  # names the case in messages and tables
    boxes: np.ndarray  # (N, 4) float64, left, top, right, bottom in pixels of ``image``
    labels: np.ndarray  # (N,) int64, index of the class in the class set, from 0
    ignored: np.ndarray  # (N,) bool: a crowd or a difficult object, neither learned nor counted as missed

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of ``image``."""
        return self.image.shape[1], self.image.shape[0]

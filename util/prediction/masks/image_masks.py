"""What inference gives for one image: K overlapping masks in source pixels, a bit a class and pixel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datasets.masks.raster import plane


@dataclass(frozen=True)
class ImageMasks:
    """The structures that a model finds on one image."""

    planes: np.ndarray  # (H, W, bytes) uint8, source pixels: class k is bit k % 8 of byte k // 8
    num_classes: int
    spacing: np.ndarray  # (2,) float64, mm per pixel along x and y; NaN where unknown
    attributes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # probabilities of values
    notes: dict[str, Any] = field(default_factory=dict)  # what options did to the masks; JSON-ready

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.planes.shape[1], self.planes.shape[0]

    def mask(self, index: int) -> np.ndarray:
        """(H, W) bool: one class, unpacked."""
        return plane(self.planes, index)

    def masks(self) -> Iterable[np.ndarray]:
        """(H, W) bool, class by class: one at a time is in memory."""
        return (self.mask(index) for index in range(self.num_classes))

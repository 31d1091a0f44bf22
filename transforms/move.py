"""Where an image goes on a canvas: one matrix, and what may deform the canvas after it."""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from transforms import geometry


class Warp(Protocol):
    """What deforms a canvas: q shows what would lie at grid(q) without it."""

    def grid(self, canvas: tuple[int, int]) -> np.ndarray:
        """(H, W, 2) where the centre of every pixel of a (width, height) ``canvas`` is moved to."""
        ...

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) the points that are moved to ``points``; NaN stays NaN."""
        ...


@dataclass(frozen=True)
class Move:
    """Pixels of an image -> pixels of a (width, height) canvas, for its points, its greys and its labels.

    A deformation has no matrix: with one, ``matrix`` says where things would lie without it.
    """

    matrix: np.ndarray  # (3, 3)
    canvas: tuple[int, int]  # width, height
    deformation: Warp | None = None

    @property
    def mirrors(self) -> bool:
        """Whether the canvas shows a mirror image."""
        return bool(np.linalg.det(self.matrix[:2, :2]) < 0.0)

    def points(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) pixels of the image -> pixels of the canvas; NaN (missing) stays NaN."""
        moved = geometry.warp_points(points, self.matrix)
        if self.deformation is None:
            return moved
        return self.deformation.inverse(moved.reshape(-1, 2)).reshape(moved.shape)

    def image(self, image: np.ndarray) -> np.ndarray:
        """(H, W[, C]) greys or colours, band-limited and interpolated; black where the image ends."""
        if self.deformation is None:
            return geometry.warp_image(image, self.matrix, self.canvas)
        return geometry.read_image(image, self.matrix, self.deformation.grid(self.canvas))

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """(H, W) labels, the nearest pixel's; 0 where the image ends."""
        if self.deformation is None:
            columns, rows = (np.arange(side) + 0.5 for side in self.canvas)
            places = np.stack(np.meshgrid(columns, rows), -1)  # (H, W, 2)
        else:
            places = self.deformation.grid(self.canvas)
        index = np.floor(geometry.warp_points(places, np.linalg.inv(self.matrix))).astype(np.float32)
        return cv2.remap(labels, index[..., 0], index[..., 1], cv2.INTER_NEAREST)

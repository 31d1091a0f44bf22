"""Smooth random deformations: other heads from the same X-ray.

A free-form deformation (Rueckert et al., 1999): a coarse grid of displacements, interpolated by cubic
B-splines, so that it can be evaluated at any point as well as at every pixel.
"""

from dataclasses import dataclass

import numpy as np

_LIMIT = 0.4  # of the grid's spacing; below 0.48 the deformation is one-to-one (Choi & Lee, 2000)
_STEPS = 20  # of the fixed-point iteration that inverts the deformation


@dataclass(frozen=True)
class Deformation:
    """q -> q + d(q) on a canvas, d given by control displacements ``spacing`` pixels apart."""

    controls: np.ndarray  # (ny, nx, 2) float64 displacements, pixels; the grid reaches beyond the canvas
    spacing: float

    @classmethod
    def random(
        cls, canvas: tuple[int, int], spacing: float, spread: float, rng: np.random.Generator
    ) -> "Deformation":
        """Control displacements with standard deviation ``spread`` pixels along each axis.

        ``canvas``: (width, height). Displacements are cut where the deformation could fold.
        """
        nx, ny = (int(np.ceil(side / spacing)) + 3 for side in canvas)
        controls = rng.normal(0.0, spread, (ny, nx, 2)).clip(-_LIMIT * spacing, _LIMIT * spacing)
        return cls(controls, spacing)

    def grid(self, canvas: tuple[int, int]) -> np.ndarray:
        """(H, W, 2) where the centre of every pixel of a (width, height) ``canvas`` is moved to."""
        x, y = (np.arange(side) + 0.5 for side in canvas)
        moved = np.einsum(
            "yi,ijc,xj->yxc", self._basis(y, 0), self.controls, self._basis(x, 1), optimize=True
        )
        moved[..., 0] += x
        moved[..., 1] += y[:, None]
        return moved

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) points on the canvas -> (N, 2) where they are moved to; NaN stays NaN."""
        place = np.nan_to_num(points)
        weights_x, weights_y = self._basis(place[:, 0], 1), self._basis(place[:, 1], 0)
        return points + np.einsum("ni,ijc,nj->nc", weights_y, self.controls, weights_x)

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) the points that are moved to ``points``, by fixed-point iteration; NaN stays NaN."""
        origin = points
        for _ in range(_STEPS):
            origin = origin + points - self(origin)
        return origin

    def _basis(self, coordinate: np.ndarray, axis: int) -> np.ndarray:
        """(n, controls along ``axis``) cubic B-spline weights; control i lies at (i - 1) * spacing."""
        distance = np.abs(coordinate[:, None] / self.spacing + 1.0 - np.arange(self.controls.shape[axis]))
        near = 2.0 / 3.0 - distance**2 + distance**3 / 2.0
        far = (2.0 - distance).clip(min=0.0) ** 3 / 6.0
        return np.where(distance < 1.0, near, far)

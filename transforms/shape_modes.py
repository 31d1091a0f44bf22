"""How the shapes of a training set vary, and other shapes drawn from it: principal modes.

A point distribution model (Cootes, Taylor et al., 1995). ``datasets.landmarks.shape_statistics`` measures it.
"""

from dataclasses import dataclass

import numpy as np

from transforms.geometry import similarity, warp_points

_TAIL = 2.5  # standard deviations at which a draw is cut, so that no shape is a monster


@dataclass(frozen=True)
class ShapeModes:
    """Gaussian of K landmarks up to place, turn and size. Lengths are of one frame, whichever."""

    mean: np.ndarray  # (K, 2)
    modes: np.ndarray  # (R, K, 2) principal components, each one standard deviation long
    residual: float  # standard deviation of a coordinate that the modes leave over

    def draw(self, points: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
        """(K, 2) another shape where ``points`` (K, 2) lie, in their pixels; NaN (missing) stays NaN.

        Its coefficients are sqrt(1 - share^2) times those of ``points`` plus ``share`` times new ones: at 0
        it is the shape itself, at 1 any other, and at every share the shapes drawn vary as the measured ones
        do (the proposal of Neal, 1999). What the modes do not explain is kept.
        """
        new = rng.standard_normal(len(self.modes)).clip(-_TAIL, _TAIL)
        known = np.isfinite(points).all(-1)
        if known.sum() < 2 or not np.ptp(points[known], axis=0).any():  # no place, turn and size to speak of
            return points
        there = similarity(self.mean[known], points[known])
        laid = warp_points(points, np.linalg.inv(there))
        own = self.coefficients(laid)
        change = np.sqrt(1.0 - share**2) * own + share * new - own
        return warp_points(laid + np.tensordot(change, self.modes, 1), there)

    def coefficients(self, laid: np.ndarray) -> np.ndarray:
        """(R,) of a shape (K, 2) laid over the mean: the most probable ones given the landmarks it has."""
        known = np.isfinite(laid).all(-1)
        modes = self.modes[:, known].reshape(len(self.modes), -1)  # (R, 2 known)
        noise = self.residual**2 * np.eye(len(modes))
        return np.linalg.solve(modes @ modes.T + noise, modes @ (laid - self.mean)[known].ravel())

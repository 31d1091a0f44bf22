"""A smooth deformation that brings landmarks to other places: the thin-plate spline.

Bookstein, "Principal warps" (1989): of all mappings through the given pairs of points the one that bends
least. Far from the landmarks it comes close to an affine mapping, so what surrounds a shape follows it. Where
landmarks lie so near each other that the mapping would fold, the plate is made stiffer (Wahba, 1990): it then
leads near the places given, and in the limit is the affine mapping that fits them best.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_AREA = (0.25, 4.0)  # of the image on a pixel, beside that without a deformation; 0 would be a fold
_STIFFNESS = (0.0, 1e-3, 1e-2, 0.1, 1.0, 100.0)  # tried in turn; 0 is exact, the last is affine
_ROUNDS = 12  # of Newton's iteration
_BAND = 32  # rows of a canvas at a time, which stay in the processor's cache


@dataclass(frozen=True)
class Spline:
    """(N, 2) -> (N, 2): an affine mapping plus r^2 log r^2 about each of M centres. Lengths are pixels."""

    centres: np.ndarray  # (M, 2)
    weights: np.ndarray  # (M + 3, 2): of the centres, of 1, of x and of y
    length: float  # pixels; distances are counted in it, so that the equations are well conditioned

    @classmethod
    def through(cls, centres: np.ndarray, values: np.ndarray, stiffness: float = 0.0) -> "Spline":
        """The spline that is ``values`` (M, 2) at ``centres`` (M, 2), or near them if it is stiff.

        Of centres that do not determine it (on one line, at one place) it is the one of the least weights.
        """
        length = max(float(np.abs(centres - centres.mean(0)).max()), 1e-6)
        count = len(centres)
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = _bending(_squares(centres, centres, length)) + stiffness * np.eye(count)
        system[:count, count:] = _affine(centres, centres.mean(0), length)
        system[count:, :count] = system[:count, count:].T
        right = np.vstack([values, np.zeros((3, 2))])
        return cls(centres, np.linalg.lstsq(system, right, rcond=1e-12)[0], length)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        count = len(self.centres)
        bent = _bending(_squares(points, self.centres, self.length)) @ self.weights[:count]
        return bent + _affine(points, self.centres.mean(0), self.length) @ self.weights[count:]

    def slopes(self, points: np.ndarray) -> np.ndarray:
        """(N, 2, 2) derivatives at (N, 2) points: row = coordinate of the value, column = x or y."""
        count = len(self.centres)
        apart = (points[:, None] - self.centres) / self.length  # (N, M, 2)
        growth = 2.0 * (np.log(np.maximum((apart**2).sum(-1), 1e-12)) + 1.0)  # (N, M)
        bent = np.einsum("nm,nma,mc->nca", growth, apart, self.weights[:count])
        return (bent + self.weights[count + 1 :].T) / self.length


@dataclass(frozen=True)
class ThinPlate:
    """q -> s(q) on a canvas: what is shown at q is what lay at s(q); s leads from one shape to another."""

    spline: Spline  # new places -> old places
    start: Spline  # old -> new, nearly: where the inverse is looked for from
    canvas: tuple[int, int]  # width, height

    @classmethod
    def between(cls, old: np.ndarray, new: np.ndarray, canvas: tuple[int, int]) -> "ThinPlate | None":
        """Brings (K, 2) ``old`` to ``new``, pixels of a (width, height) ``canvas``; NaN (missing) has no say.

        Exactly, or with the least stiffness at which nothing on the canvas folds, or is stretched or squeezed
        more than fourfold in area. None where not even an affine mapping is so tame, and where fewer than
        three landmarks are known.
        """
        known = np.isfinite(old).all(-1) & np.isfinite(new).all(-1)
        if known.sum() < 3:
            return None
        old, new = old[known], new[known]
        for stiffness in _STIFFNESS:
            plate = cls(Spline.through(new, old, stiffness), Spline.through(old, new, stiffness), canvas)
            if plate.sound:
                return plate
        return None

    @cached_property
    def sound(self) -> bool:
        """Whether nothing on the canvas, and no landmark, folds or changes its area too much."""
        if not _tame(np.linalg.det(self.spline.slopes(self.spline.centres))):
            return False
        along_x, along_y = np.diff(self.places, axis=1)[:-1], np.diff(self.places, axis=0)[:, :-1]
        return _tame(along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0])

    @cached_property
    def places(self) -> np.ndarray:
        """(H, W, 2) where the centre of every pixel of the canvas is moved to."""
        width, height = self.canvas
        spline, count = self.spline, len(self.spline.centres)
        x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
        along_x, along_y = (
            ((side[:, None] - spline.centres[:, axis]) / spline.length) ** 2
            for axis, side in enumerate((x, y))
        )  # (W, M), (H, M)
        places = np.empty((height, width, 2))
        weights = spline.weights[:count].astype(np.float32)  # its logarithm is several times faster
        for top in range(0, height, _BAND):
            squares = (along_y[top : top + _BAND, None] + along_x).astype(np.float32)  # (rows, W, M)
            places[top : top + _BAND] = _bending(squares) @ weights
        middle = spline.centres.mean(0)
        constant, of_x, of_y = spline.weights[count:]
        places += constant + ((x - middle[0]) / spline.length)[:, None] * of_x
        places += (((y - middle[1]) / spline.length)[:, None] * of_y)[:, None]
        return places

    def grid(self, canvas: tuple[int, int]) -> np.ndarray:
        """(H, W, 2) where the centre of every pixel of a (width, height) ``canvas`` is moved to."""
        assert canvas == self.canvas
        return self.places

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) points on the canvas -> (N, 2) where they are moved to; NaN stays NaN."""
        return self.spline(points)

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) the points that are moved to ``points``, by Newton's iteration; NaN stays NaN."""
        known = np.isfinite(points).all(-1)
        target = points[known]
        origin = self.start(target)
        for _ in range(_ROUNDS):
            missed = (target - self.spline(origin))[..., None]
            origin = origin + np.linalg.solve(self.spline.slopes(origin), missed)[..., 0]
        found = np.full_like(points, np.nan)
        found[known] = origin
        return found


def _tame(areas: np.ndarray) -> bool:
    """Whether all areas, of the image on a pixel, are within what is allowed."""
    return bool(_AREA[0] < areas.min() and areas.max() < _AREA[1])


def _squares(points: np.ndarray, centres: np.ndarray, length: float) -> np.ndarray:
    """(N, M) squared distances, in ``length``."""
    return (((points[:, None] - centres) / length) ** 2).sum(-1)


def _bending(squares: np.ndarray) -> np.ndarray:
    """r^2 log r^2, 0 at 0."""
    return squares * np.log(np.maximum(squares, 1e-30))


def _affine(points: np.ndarray, middle: np.ndarray, length: float) -> np.ndarray:
    """(N, 3) 1, x and y about ``middle``, in ``length``."""
    return np.column_stack([np.ones(len(points)), (points - middle) / length])

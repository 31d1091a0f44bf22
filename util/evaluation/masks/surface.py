"""Distances between the outlines of two masks.

The outline runs through the corners of pixels, as in marching squares (Lorensen & Cline, 1987): a corner
whose four pixels are not all alike is on it, and stands for the length of outline that passes there. The
definitions are those of Nikolov et al. (2021, J Med Internet Res 23:e26151), whose code the tests compare
with.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

_PERCENTILE = 95.0
_ROUNDING = 1e-9  # a piece at exactly the tolerance is within it, whatever the last bit says


@dataclass(frozen=True)
class SurfaceDistances:
    """How far each piece of one outline is from the other outline; nothing where a mask is empty."""

    to_predicted: np.ndarray  # (N,) from each piece of the true outline
    true_lengths: np.ndarray  # (N,) of the pieces
    to_true: np.ndarray  # (M,) from each piece of the predicted outline
    predicted_lengths: np.ndarray  # (M,)

    @property
    def average(self) -> float:
        """Average symmetric surface distance (ASSD): over both outlines, by length; NaN if empty."""
        total = self.true_lengths.sum() + self.predicted_lengths.sum()
        if not self._comparable:
            return math.nan
        products = self.to_predicted @ self.true_lengths + self.to_true @ self.predicted_lengths
        return float(products / total)

    @property
    def hausdorff95(self) -> float:
        """HD95: the larger of the distances within which 95 % of each outline lies; NaN if one is empty."""
        if not self._comparable:
            return math.nan
        return max(
            _percentile(self.to_predicted, self.true_lengths),
            _percentile(self.to_true, self.predicted_lengths),
        )

    def within(self, tolerance: float) -> float:
        """Normalised surface Dice (NSD): the share of both outlines within ``tolerance`` of the other.

        0 where one of the masks is empty, NaN where both are.
        """
        total = self.true_lengths.sum() + self.predicted_lengths.sum()
        if not self._comparable:
            return 0.0 if total else math.nan
        near = self.true_lengths[self.to_predicted <= tolerance + _ROUNDING].sum()
        near += self.predicted_lengths[self.to_true <= tolerance + _ROUNDING].sum()
        return float(near / total)

    @property
    def _comparable(self) -> bool:
        return bool(len(self.true_lengths) and len(self.predicted_lengths))


def surface_distances(truth: np.ndarray, predicted: np.ndarray, spacing: np.ndarray) -> SurfaceDistances:
    """Between two (H, W) bool masks, in the unit of spacing: (2,), the length of a pixel along x and y."""
    (true_points, true_lengths), (points, lengths) = (_outline(mask, spacing) for mask in (truth, predicted))
    if not (len(points) and len(true_points)):
        nowhere = np.full(len(true_points), np.inf), np.full(len(points), np.inf)
        return SurfaceDistances(nowhere[0], true_lengths, nowhere[1], lengths)
    return SurfaceDistances(
        to_predicted=KDTree(points).query(true_points)[0],
        true_lengths=true_lengths,
        to_true=KDTree(true_points).query(points)[0],
        predicted_lengths=lengths,
    )


def _outline(mask: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) corners on the outline as x, y, and the (N,) length of outline at each, in spacing's unit."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return np.empty((0, 2)), np.empty(0)
    top, left = rows[0], columns[0]
    inner = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1).astype(np.uint8)
    code = inner[:-1, :-1] | inner[:-1, 1:] << 1 | inner[1:, :-1] << 2 | inner[1:, 1:] << 3
    y, x = np.nonzero((code > 0) & (code < 15))
    corners = np.stack([x + left, y + top], -1) * spacing
    return corners, _lengths(spacing)[code[y, x]]


def _lengths(spacing: np.ndarray) -> np.ndarray:
    """(16,) length of outline at a corner by its four pixels: upper left 1, upper right 2, lower 4 and 8."""
    half = 0.5 * math.hypot(*spacing)  # it cuts one pixel, or all but one, off
    lengths = np.full(16, half)
    lengths[[0, 15]] = 0.0
    lengths[[3, 12]] = spacing[0]  # upper or lower two: a horizontal outline
    lengths[[5, 10]] = spacing[1]
    lengths[[6, 9]] = 2.0 * half  # two opposite ones
    return lengths


def _percentile(distances: np.ndarray, lengths: np.ndarray) -> float:
    """The smallest distance within which 95 % of the length lies."""
    order = np.argsort(distances, kind="stable")
    shares = lengths[order].cumsum() / lengths.sum()
    place = min(int(np.searchsorted(shares, _PERCENTILE / 100.0)), len(order) - 1)
    return float(distances[order[place]])

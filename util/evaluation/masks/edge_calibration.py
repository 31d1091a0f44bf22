"""Are probabilities near an edge shares? Far from edges almost any model is sure and right."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

NUM_BINS = 10
BAND_MM = 2.0  # on either side of the true edge
BAND_PX = 6.0  # where the spacing is unknown


@dataclass(frozen=True)
class EdgeCalibration:
    """Pixels of the edge band in bins of equal width by their predicted probability."""

    counts: np.ndarray  # (10,) pixels
    predicted: np.ndarray  # (10,) sum of their probabilities
    true: np.ndarray  # (10,) those that belong to the structure

    @classmethod
    def nothing(cls) -> "EdgeCalibration":
        return cls(*np.zeros((3, NUM_BINS)))

    @classmethod
    def of(cls, probability: np.ndarray, truth: np.ndarray, spacing: np.ndarray) -> "EdgeCalibration":
        """Within 2 mm of the edge of ``truth`` (6 pixels without a spacing); nothing where it is empty.

        probability (H, W) float32 and truth (H, W) bool; spacing: (2,) mm per pixel along x and y.
        """
        radii = np.where(np.isfinite(spacing), BAND_MM / spacing, BAND_PX)
        window = _window(truth, int(np.ceil(radii.max())) + 1)
        band = _edge_band(truth[window], radii)
        inside, values = truth[window][band], probability[window][band].astype(np.float64)
        bins = (values * NUM_BINS).astype(int).clip(0, NUM_BINS - 1)
        counted = (np.bincount(bins, weights, NUM_BINS) for weights in (None, values, inside))
        return cls(*(values.astype(np.float64) for values in counted))

    def __add__(self, other: "EdgeCalibration") -> "EdgeCalibration":
        return EdgeCalibration(
            self.counts + other.counts, self.predicted + other.predicted, self.true + other.true
        )

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al., 2015): |share true - mean probability|, by pixels."""
        total = self.counts.sum()
        return float(np.abs(self.true - self.predicted).sum() / total) if total else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; null for a bin without pixels."""
        shares = {
            name: [float(value / n) if n else None for value, n in zip(sums, self.counts, strict=True)]
            for name, sums in (("predicted", self.predicted), ("true", self.true))
        }
        return {
            "error": self.error if self.counts.any() else None,
            "pixels": self.counts.astype(int).tolist(),
            **shares,
        }


def _window(truth: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Where ``truth`` has pixels, and a margin around; empty slices where it has none."""
    spans = []
    for axis in (1, 0):
        places = np.flatnonzero(truth.any(axis))
        spans.append(slice(max(places[0] - margin, 0), places[-1] + margin + 1) if len(places) else slice(0))
    return spans[0], spans[1]


def _edge_band(truth: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels from which an ellipse with half axes ``radii`` (x, y) reaches the edge."""
    if not truth.size:
        return truth
    reach = np.maximum(radii.round().astype(int), 1)
    y, x = np.mgrid[-reach[1] : reach[1] + 1, -reach[0] : reach[0] + 1]
    kernel = ((x / reach[0]) ** 2 + (y / reach[1]) ** 2 <= 1.0).astype(np.uint8)
    mask = truth.astype(np.uint8)
    grown = cv2.dilate(mask, kernel)
    shrunk = cv2.erode(mask, kernel, borderType=cv2.BORDER_REPLICATE)
    return grown != shrunk

"""Probabilities of a canvas as pixels of the source image."""

import cv2
import numpy as np

from transforms import geometry

_HALF = geometry.translate(0.5, 0.5)  # OpenCV counts from the centre of the first pixel


def at_source(probabilities: np.ndarray, to_source: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) float32 in [0, 1]: a map of probabilities of one class, read at the centres of source pixels.

    probabilities: (h, w) float32; to_source: (3, 3) pixels of that map -> source pixels; size: (width,
    height) of the source. Interpolated linearly between pixel centres; beyond the outermost centres the
    nearest counts, and what the map does not show at all is 0.
    """
    matrix = np.linalg.inv(_HALF) @ np.linalg.inv(to_source) @ _HALF  # source index -> map index
    found = cv2.warpAffine(
        np.ascontiguousarray(probabilities, np.float32),
        matrix[:2],
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    _clear_unseen(found, np.linalg.inv(to_source), probabilities.shape)
    return found


def map_to_source(to_source: np.ndarray, canvas: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """(3, 3) pixels of a map of ``shape`` (h, w) that covers a (width, height) canvas -> source pixels."""
    return to_source @ geometry.scale(canvas[0] / shape[1], canvas[1] / shape[0])


def _clear_unseen(found: np.ndarray, from_source: np.ndarray, shape: tuple[int, ...]) -> None:
    """Zero where the centres of source pixels lie outside of a map of ``shape`` (h, w)."""
    height, width = found.shape
    corners = np.array([[0.5, 0.5], [width - 0.5, 0.5], [0.5, height - 0.5], [width - 0.5, height - 0.5]])
    places = geometry.warp_points(corners, from_source)
    if (places >= 0.0).all() and (places <= [shape[1], shape[0]]).all():
        return  # the usual case: a canvas that holds the whole image
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    for row, limit in zip(from_source[:2], (shape[1], shape[0]), strict=True):
        place = row[0] * x + row[1] * y + row[2]
        found[(place < 0.0) | (place > limit)] = 0.0

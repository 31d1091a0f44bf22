"""Polygons become pixels, by one rule: a pixel belongs to a polygon that holds its centre.

Coordinates are continuous (``transforms.geometry``): the centre of the first pixel is (0.5, 0.5).
"""

from collections.abc import Iterable

import cv2
import numpy as np


def fill(polygon: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: the pixels whose centres lie in a closed polygon, of which parts may lie outside.

    polygon: (N, 2) continuous pixels; size: (width, height). What the polygon winds around at all is
    inside (the nonzero rule), so one that crosses itself leaves no hole. A centre on the border belongs to
    the polygon on its right or below, so polygons that share a border share no pixel.
    """
    mask = np.zeros(size[::-1], bool)
    low, high = _window(polygon, size)
    if len(polygon) >= 3 and (high > low).all():
        mask[low[1] : high[1], low[0] : high[0]] = _winding(polygon, low, high) != 0
    return mask


def crosses_itself(polygon: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether a polygon winds twice, or both ways, around centres of pixels of a (width, height) image."""
    low, high = _window(polygon, size)
    if len(polygon) < 4 or not (high > low).all():
        return False
    winding = _winding(polygon, low, high)
    return bool(np.abs(winding).max() > 1 or winding.min() * winding.max() < 0)


def _window(polygon: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """First column and row that the polygon reaches on the image, and the ends."""
    low = np.floor(polygon.min(0)).astype(int).clip(0, size)
    return low, np.ceil(polygon.max(0)).astype(int).clip(0, size)


def _winding(polygon: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """How often the polygon winds around the centre of each pixel of a window from ``low`` to ``high``.

    Every edge adds its direction to all centres on its right, in the rows whose centres it passes. Edges
    are followed from their upper end, so two polygons find the same crossings of an edge that they share.
    """
    width, height = high - low
    start, end = polygon, np.roll(polygon, -1, 0)
    down = start[:, 1] < end[:, 1]
    upper, lower = np.where(down[:, None], start, end), np.where(down[:, None], end, start)
    first, last = ((np.ceil(end[:, 1] - 0.5).astype(int) - low[1]).clip(0, height) for end in (upper, lower))
    counts = last - first  # rows that an edge passes
    edge = np.repeat(np.arange(len(polygon)), counts)
    rows = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts) + first[edge]
    (x0, y0), (x1, y1) = upper[edge].T, lower[edge].T
    crossing = x0 + (rows + low[1] + 0.5 - y0) / (y1 - y0) * (x1 - x0)
    columns = (np.ceil(crossing - 0.5).astype(int) - low[0]).clip(0, width)
    steps = np.zeros((height, width + 1), np.int32)
    np.add.at(steps, (rows, columns), np.where(down[edge], 1, -1))
    return steps[:, :width].cumsum(1)


def fill_chain(chain: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: the pixels that a chain of pixels surrounds, and the chain itself.

    chain: (N, 2) whole numbers, column and row of the outermost pixels of a structure, as annotation
    tools write them that follow a brushed mask; pixels between two that do not touch are on a straight line.
    """
    mask = fill(chain + 0.5, size).astype(np.uint8)
    cv2.polylines(mask, [np.asarray(chain, np.int32)], isClosed=True, color=1)
    return mask.astype(bool)


def pack(masks: Iterable[np.ndarray], size: tuple[int, int], num_bytes: int) -> np.ndarray:
    """(H, W, num_bytes) uint8 from (H, W) bool masks, one a class: class k is bit k % 8 of byte k // 8."""
    planes = np.zeros((*size[::-1], num_bytes), np.uint8)
    for index, mask in enumerate(masks):
        planes[..., index // 8] |= mask.astype(np.uint8) << index % 8
    return planes


def plane(planes: np.ndarray, index: int) -> np.ndarray:
    """(H, W) bool: the mask of one class out of (H, W, bytes)."""
    return (planes[..., index // 8] >> index % 8 & 1).astype(bool)


def clipped(polygon: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(M, 2) the part of a closed polygon on an image of (width, height); (0, 2) where there is none.

    Side by side (Sutherland & Hodgman, 1974): parts that the border cuts apart stay joined along it, which
    no pixel sees.
    """
    for axis, limit, sign in ((0, 0.0, 1.0), (0, size[0], -1.0), (1, 0.0, 1.0), (1, size[1], -1.0)):
        if not len(polygon):
            break
        inside = sign * (polygon[:, axis] - limit)  # distance from the side, positive on the image
        following, beyond = np.roll(polygon, -1, 0), np.roll(inside, -1)
        crosses = (inside >= 0) != (beyond >= 0)
        share = np.where(crosses, inside / np.where(crosses, inside - beyond, 1.0), 0.0)[:, None]
        pairs = np.stack([polygon, polygon + share * (following - polygon)], 1)  # a vertex, then a crossing
        pairs[:, 1, axis] = np.where(crosses, limit, pairs[:, 1, axis])
        polygon = pairs[np.stack([inside >= 0, crosses], 1)]
    return polygon

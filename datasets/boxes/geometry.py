"""Boxes under the one geometry of the repository: moved by the ellipses in them, clipped to the image."""

import numpy as np

from transforms.geometry import warp_points

MIN_SIDE = 1.0  # pixels of the canvas that a side must keep in sight
MIN_VISIBLE = 0.1  # share of a box's area that must stay in sight
_ANGLES = np.arange(64) * (np.pi / 32.0)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], -1)  # (64, 2); four of them touch the sides


def ellipses(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) left, top, right, bottom -> (N, 64, 2) points around the ellipse that touches all four sides.

    What moves with them stays as large as a roundish object. Corners, where few objects reach, would make a
    box 4 times as high as wide a sixth wider at 2.5 degrees (Kalra et al., Towards Rotation Invariance in
    Object Detection, 2021).
    """
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2.0, (boxes[:, 2:] - boxes[:, :2]) / 2.0
    return centre[:, None] + half[:, None] * _CIRCLE


def hull(points: np.ndarray) -> np.ndarray:
    """(N, P, 2) points -> (N, 4) the upright boxes around them."""
    if not len(points):
        return np.zeros((0, 4))
    return np.concatenate([points.min(1), points.max(1)], axis=1)


def warp_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(N, 4) boxes -> (N, 4) hulls of their ellipses under ``matrix``; exact unless it rotates."""
    return hull(warp_points(ellipses(boxes), matrix))


def clip(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, 4) the parts of the boxes inside an image of ``size``, width first; may be empty ones."""
    return np.clip(boxes, 0.0, np.array([*size, *size], np.float64))


def areas(boxes: np.ndarray) -> np.ndarray:
    """(N,) width times height."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def in_sight(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N,) bool: whether enough of a box lies inside an image of ``size``, width first, to be learned.

    Enough: at least ``MIN_SIDE`` pixels along both axes and ``MIN_VISIBLE`` of its area. What is left of an
    object beyond the border is then no sliver that looks like nothing.
    """
    seen = clip(boxes, size)
    sides = np.minimum(seen[:, 2] - seen[:, 0], seen[:, 3] - seen[:, 1])
    return (sides >= MIN_SIDE) & (areas(seen) >= MIN_VISIBLE * areas(boxes))


def pairwise_shared(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, 4), (M, 4) -> (N, M) areas of the intersections."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.clip(high - low, 0.0, None).prod(-1)


def pairwise_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, 4), (M, 4) -> (N, M) intersection over union; 0 where both are empty."""
    shared = pairwise_shared(first, second)
    union = areas(first)[:, None] + areas(second)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)

"""Even margins around an X-ray: bars of one grey value that make it small on the model's canvas."""

import cv2
import numpy as np

_LOOK = 512  # longer side, in pixels, of the small copy that is searched
_EVEN = 10  # grey values between which a margin stays
_WORTH = 0.64  # share of the area that the rest may have: a cut on all sides then gains 1.25 in scale
_LEAST = 0.1  # share of a side; with less there is no picture in it

Window = tuple[np.ndarray, np.ndarray]  # corner (2,) and size (2,) in whole pixels


def without_margins(image: np.ndarray) -> Window | None:
    """What is left of ``image`` (H, W) uint8 without its even margins; None where a cut gains little.

    Most X-rays have a dark border, and models are trained with it. So only what leaves the picture small is
    cut: the bars of a wide screen, the white of a scanner's glass.
    """
    height, width = image.shape
    zoom = min(_LOOK / max(height, width), 1.0)
    size = max(round(width * zoom), 1), max(round(height * zoom), 1)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if zoom < 1.0 else image
    (left, right), (top, below) = _inside(small)
    step = np.array([width, height]) / np.array(small.shape[::-1])
    low = np.maximum(np.floor((np.array([left, top]) - 1) * step), 0).astype(
        int
    )  # a margin of one: blurred edges
    high = np.minimum(np.ceil((np.array([right, below]) + 1) * step), [width, height]).astype(int)
    share = (high - low) / np.array([width, height])
    if share.min() < _LEAST or share.prod() > _WORTH:
        return None
    return low, high - low


def _inside(image: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """Columns and rows, first and behind the last, between which ``image`` is not even."""
    columns, rows = (0, image.shape[1]), (0, image.shape[0])
    for _ in range(2):  # bars above and below may hide those at the sides
        part = image[slice(*rows), slice(*columns)]
        rows = _shrunk(rows, part)
        part = image[slice(*rows), slice(*columns)]
        columns = _shrunk(columns, part.T)
    return columns, rows


def _shrunk(bounds: tuple[int, int], part: np.ndarray) -> tuple[int, int]:
    """``bounds`` of the rows of ``part`` without even rows at both ends; unchanged where all are even."""
    if part.size == 0:
        return bounds
    low, high = part.min(1).astype(int), part.max(1).astype(int)
    ends = []
    for first, step in ((0, 1), (len(part) - 1, -1)):
        lows, highs = np.minimum.accumulate(low[::step]), np.maximum.accumulate(high[::step])
        even = highs - lows <= _EVEN
        if even.all():
            return bounds
        ends.append(first + step * int(np.argmin(even)))
    return bounds[0] + ends[0], bounds[0] + ends[1] + 1

"""Any pixel array becomes an 8-bit grey image."""

from collections.abc import Iterator

import cv2
import numpy as np

WINDOW_PERCENTILES = (0.5, 99.5)  # of the pixel values: what deep images are stretched between
_MAX_SAMPLE = 1 << 24  # values that percentiles are taken of; every n-th pixel of a larger image
_BLOCK_PIXELS = 1 << 22  # converted at a time, so that a film scan needs no second copy as float
_EMPTY_SHARE = 0.999  # of the pixels in one grey value: nothing is shown


def to_grey8(pixels: np.ndarray) -> np.ndarray:
    """(H, W) uint8 from (H, W) or (H, W, 1|2|3|4) of any number type; 8-bit values stay as they are.

    Two channels are grey and alpha, four are colour and alpha. Deeper values are stretched between two
    percentiles, so that a few burnt-in pixels or a bright marker do not flatten the anatomy. Raises
    ValueError on another shape and where nothing is finite.
    """
    if pixels.ndim == 3 and pixels.shape[2] in (1, 2, 3, 4):
        pixels = pixels[..., 0] if pixels.shape[2] < 3 else _luma(pixels[..., :3])
    if pixels.ndim != 2 or pixels.size == 0:
        raise ValueError(f"pixels of shape {pixels.shape}, expected a grey or colour image.")
    return _to_8bit(pixels)


def to_rgb8(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 from (H, W, 3|4) of any number type, as ``to_grey8`` does: hues stay, alpha goes."""
    return _to_8bit(pixels[..., :3])


def _to_8bit(pixels: np.ndarray) -> np.ndarray:
    """uint8 from (H, W) or (H, W, C) of any number type: all channels between the same two percentiles."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = percentile_window(some_values(pixels))
    image = np.empty(pixels.shape, np.uint8)
    for rows in blocks(pixels):
        image[rows] = stretched(pixels[rows], low, high)
    return image


def percentile_window(values: np.ndarray) -> tuple[float, float]:
    """The grey values between which ``values`` of any shape are to be stretched.

    Raises ValueError where none is finite.
    """
    finite = values[np.isfinite(values)].astype(np.float32)
    if not finite.size:
        raise ValueError("no finite pixel value.")
    low, high = np.percentile(finite, WINDOW_PERCENTILES)
    if high <= low:  # almost flat: nothing to protect from outliers
        low, high = finite.min(), finite.max()
    return float(low), float(high)


def stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """``values`` with ``low`` black and ``high`` white, as uint8; what is no number is black."""
    shown = np.nan_to_num(values.astype(np.float32), nan=low)
    return unit_to_grey8((shown - np.float32(low)) / np.float32(max(high - low, np.finfo(np.float32).tiny)))


def unit_to_grey8(unit: np.ndarray) -> np.ndarray:
    """[0, 1] -> uint8, values beyond clipped."""
    return np.round(np.clip(unit, 0.0, 1.0) * 255.0).astype(np.uint8)


def some_values(pixels: np.ndarray, left_out: np.ndarray | None = None) -> np.ndarray:
    """(N,) values of ``pixels`` (H, W[, C]): all, or evenly spread ones.

    ``left_out``: (H, W) bool, those of (H, W) ``pixels`` not to take.
    """
    step = -(-pixels.size // _MAX_SAMPLE)
    values = pixels.reshape(-1)[::step]
    return values if left_out is None else values[~left_out.reshape(-1)[::step]]


def blocks(pixels: np.ndarray) -> Iterator[slice]:
    """Rows of ``pixels`` (H, W, ...) that are converted together."""
    height, width = pixels.shape[:2]
    step = max(_BLOCK_PIXELS // max(width, 1), 1)
    yield from (slice(top, min(top + step, height)) for top in range(0, height, step))


def shows_nothing(image: np.ndarray, left_out: np.ndarray | None = None) -> bool:
    """Whether (nearly) all of ``image`` (H, W) uint8, but what is ``left_out``, has one grey value."""
    mask = None if left_out is None else (~left_out).astype(np.uint8)
    counts = cv2.calcHist([image], [0], mask, [256], [0, 256])
    return counts.max() >= _EMPTY_SHARE * max(counts.sum(), 1.0)


def require_content(image: np.ndarray) -> np.ndarray:
    """``image`` (H, W) uint8 as it is. Raises ValueError where every pixel has one grey value."""
    low, high = int(image.min()), int(image.max())
    if low == high:
        raise ValueError(f"every pixel has the grey value {low}, so there is no picture. Export it again")
    return image


def _luma(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) red, green, blue -> (H, W); equal channels keep their value."""
    exact = pixels if pixels.dtype in (np.uint8, np.uint16) else pixels.astype(np.float32)
    return cv2.cvtColor(np.ascontiguousarray(exact), cv2.COLOR_RGB2GRAY)

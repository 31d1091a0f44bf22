"""Any pixel array becomes an 8-bit grey image."""

import cv2
import numpy as np

WINDOW_PERCENTILES = (0.5, 99.5)  # of the pixel values: what deep images are stretched between


def to_grey8(pixels: np.ndarray) -> np.ndarray:
    """(H, W) uint8 from (H, W) or (H, W, 1|3|4) of any number type; 8-bit values stay as they are.

    Deeper values are stretched between two percentiles, so that a few burnt-in pixels or a bright
    marker do not flatten the anatomy. Raises ValueError on another shape and where nothing is finite.
    """
    if pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4):
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else _luma(pixels[..., :3])
    if pixels.ndim != 2 or pixels.size == 0:
        raise ValueError(f"pixels of shape {pixels.shape}, expected a grey or colour image.")
    if pixels.dtype == np.uint8:
        return pixels
    values = pixels.astype(np.float32)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("no finite pixel value.")
    low, high = np.percentile(finite, WINDOW_PERCENTILES)
    if high <= low:  # almost flat: nothing to protect from outliers
        low, high = finite.min(), finite.max()
    unit = (np.nan_to_num(values, nan=low) - low) / max(high - low, np.finfo(np.float32).tiny)
    return unit_to_grey8(unit)


def unit_to_grey8(unit: np.ndarray) -> np.ndarray:
    """[0, 1] -> uint8, values beyond clipped."""
    return np.round(np.clip(unit, 0.0, 1.0) * 255.0).astype(np.uint8)


def _luma(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) red, green, blue -> (H, W); equal channels keep their value."""
    exact = pixels if pixels.dtype in (np.uint8, np.uint16) else pixels.astype(np.float32)
    return cv2.cvtColor(np.ascontiguousarray(exact), cv2.COLOR_RGB2GRAY)

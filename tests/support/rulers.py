"""Films with and without a ruler."""

import cv2
import numpy as np


def film(seed: int = 0) -> np.ndarray:
    """(700, 500) uint8: smooth shades and noise."""
    rng = np.random.default_rng(seed)
    shades = cv2.resize(
        rng.uniform(30, 130, (7, 5)).astype(np.float32), (500, 700), interpolation=cv2.INTER_CUBIC
    )
    return (shades + rng.normal(0, 3, shades.shape)).clip(0, 255).astype(np.uint8)


def with_teeth(
    image: np.ndarray, pitch: float, *, left: int = 400, top: float = 60.0, teeth: int = 10
) -> np.ndarray:
    """A toothed edge drawn in 1/16 pixel, bright on a dark bar."""
    image, width = image.copy(), round(0.9 * pitch)
    cv2.rectangle(
        image, (left - 6, round(top) - 8), (left + width + 6, round(top + teeth * pitch) + 8), 40, cv2.FILLED
    )
    for tooth in range(teeth):
        start = round(16 * (top + tooth * pitch))
        corners = (16 * left, start), (16 * (left + width), start + round(8 * pitch))
        cv2.rectangle(image, *corners, 220, cv2.FILLED, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(image, (3, 3), 0)

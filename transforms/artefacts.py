"""Things that scanners and clinics burn into X-rays: text, a ruler, a collimated border."""

import string

import cv2
import numpy as np

CAPITAL = 21.0  # pixels, about the height of a capital at size 1 in the fonts of OpenCV 4 and 5
_LETTERS = np.array(list(string.ascii_uppercase + string.digits))


def burn_in(image: np.ndarray, rng: np.random.Generator, capital: float) -> np.ndarray:
    """(H, W[, 3]) uint8 with one random artefact: lines of text, a ruler along an edge, or a border.

    ``capital``: height of the largest letters as a share of H.
    """
    image = image.copy()
    kind = rng.integers(3)
    return _text(image, rng, capital) if kind == 0 else (_ruler, _border)[kind - 1](image, rng)


def _text(image: np.ndarray, rng: np.random.Generator, capital: float) -> np.ndarray:
    """One to three lines anywhere, of letters from a third of ``capital`` up."""
    height, width = image.shape[:2]
    size = capital * height / CAPITAL * rng.uniform(0.3, 1.0)
    stroke = max(1, round(size * rng.uniform(0.5, 2.0)))
    grey = int(rng.integers(150, 256)) if rng.random() < 0.7 else int(rng.integers(0, 60))
    for _ in range(rng.integers(1, 4)):
        text = "".join(rng.choice(_LETTERS, rng.integers(2, 12)))
        origin = int(rng.uniform(0, 0.8) * width), int(rng.uniform(0.05, 1.0) * height)
        cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, size, (grey,) * 3, stroke, cv2.LINE_AA)
    return image


def _ruler(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    x, step = int(rng.uniform(0, 1) * width), rng.uniform(0.01, 0.04) * height
    grey = int(rng.integers(150, 256))
    for tick, y in enumerate(np.arange(rng.uniform(0, 0.3) * height, rng.uniform(0.6, 1.0) * height, step)):
        length = (0.03 if tick % 5 == 0 else 0.015) * width
        cv2.line(image, (x, int(y)), (int(x + length), int(y)), (grey,) * 3, 1, cv2.LINE_AA)
    return image


def _border(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    left, right = (rng.uniform(0, 0.06, 2) * width).astype(int)
    top, bottom = (rng.uniform(0, 0.06, 2) * height).astype(int)
    framed = np.full_like(image, 0 if rng.random() < 0.7 else 255)
    framed[top : height - bottom, left : width - right] = image[top : height - bottom, left : width - right]
    return framed

"""What holds a head in the beam and shows on X-rays of some machines: rods, rests, ear rings, rows of beads.

All of it absorbs, so it is brighter than what lies behind it. Lengths are shares of the image's height.
"""

from collections.abc import Callable

import cv2
import numpy as np

_ABSORBED = 255
_Draw = Callable[[np.ndarray, np.random.Generator], None]


def with_devices(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W[, 3]) uint8 with one to three random devices in front of it, anywhere."""
    for _ in range(rng.integers(1, 4)):
        layer = np.zeros(image.shape[:2], np.uint8)
        _KINDS[rng.integers(len(_KINDS))](layer, rng)
        image = covered(image, layer, rng.uniform(0.3, 1.0))
    return image


def covered(image: np.ndarray, layer: np.ndarray, opacity: float) -> np.ndarray:
    """``image`` behind ``layer`` (H, W) uint8: 0 lets all through, 255 absorbs the share ``opacity``."""
    absorbed = opacity * cv2.GaussianBlur(layer, (3, 3), 0) / _ABSORBED
    if image.ndim == 3:
        absorbed = absorbed[..., None]
    return np.rint(image + absorbed * (255.0 - image)).astype(np.uint8)


def rod(layer: np.ndarray, start: np.ndarray, end: np.ndarray, width: float, pad: float) -> None:
    """Draw a round rod from ``start`` to ``end`` (x, y) in pixels; ``pad``: length of a bar across its end.

    A round rod is thickest along its middle, so it absorbs most there.
    """
    height = layer.shape[0]
    for share, absorbed in ((1.0, 0.6), (0.7, 0.85), (0.4, 1.0)):
        _line(layer, start, end, share * width * height, absorbed)
    if pad:
        along = (end - start) / max(float(np.linalg.norm(end - start)), 1.0)
        across = 0.5 * pad * height * np.array([-along[1], along[0]])
        _line(layer, end - across, end + across, 0.8 * width * height, 1.0)


def _random_rod(layer: np.ndarray, rng: np.random.Generator) -> None:
    """From the border to any place; every second has a pad, as a rest against forehead or nose."""
    size = np.array(layer.shape[::-1], float)
    start, end = _on_border(size, rng), rng.uniform(0.1, 0.9, 2) * size
    pad = rng.uniform(0.02, 0.1) if rng.random() < 0.5 else 0.0
    rod(layer, start, end, rng.uniform(0.005, 0.03), pad)


def _rest(layer: np.ndarray, rng: np.random.Generator) -> None:
    """A broad plate of plastic from the border, as under a chin."""
    size = np.array(layer.shape[::-1], float)
    width = rng.uniform(0.03, 0.12) * size[1]
    _line(layer, _on_border(size, rng), rng.uniform(0.1, 0.9, 2) * size, width, rng.uniform(0.3, 0.7))


def _ring(layer: np.ndarray, rng: np.random.Generator) -> None:
    """An ear rod seen from its end: a disc, or a ring."""
    height, width = layer.shape
    centre = (round(rng.uniform(0.1, 0.9) * width), round(rng.uniform(0.1, 0.9) * height))
    radius = rng.uniform(0.008, 0.035) * height
    filled = rng.random() < 0.5
    wall = -1 if filled else max(round(rng.uniform(0.2, 0.5) * radius), 1)
    cv2.circle(layer, centre, round(radius), _ABSORBED, wall, cv2.LINE_AA)


def _beads(layer: np.ndarray, rng: np.random.Generator) -> None:
    """Metal beads or ticks at equal distances on a straight line: a scale."""
    height, width = layer.shape
    start = rng.uniform(0.05, 0.95, 2) * (width, height)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    step = rng.uniform(0.015, 0.05) * height * np.array([np.cos(angle), np.sin(angle)])
    radius = max(round(rng.uniform(0.002, 0.007) * height), 1)
    for number in range(rng.integers(4, 16)):
        x, y = np.rint(start + number * step).astype(int)
        cv2.circle(layer, (int(x), int(y)), radius, _ABSORBED, -1, cv2.LINE_AA)


_KINDS: tuple[_Draw, ...] = (_random_rod, _random_rod, _rest, _ring, _beads)


def _on_border(size: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(2,) a random place on the border of a (width, height) image."""
    place = rng.uniform(0.0, 1.0, 2)
    place[rng.integers(2)] = rng.integers(2)
    return place * size


def _line(layer: np.ndarray, start: np.ndarray, end: np.ndarray, width: float, absorbed: float) -> None:
    """A thick line; where something is drawn already, the more absorbing stays."""
    (x0, y0), (x1, y1) = np.rint(start).astype(int), np.rint(end).astype(int)
    drawn = np.zeros_like(layer)
    stroke = max(round(width), 1)
    cv2.line(drawn, (int(x0), int(y0)), (int(x1), int(y1)), round(absorbed * _ABSORBED), stroke, cv2.LINE_AA)
    np.maximum(layer, drawn, out=layer)

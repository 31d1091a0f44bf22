"""Attenuating structures and how they add up on a detector.

Everything is in mm from the top left of the film; ``attenuation_map`` alone knows pixels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

_FINE = 4  # sub-pixels along each axis when a shape is filled
_SHIFT = 4  # fractional bits of OpenCV's fixed-point coordinates


@dataclass(frozen=True)
class Structure:
    """One shape that takes X-rays away (or, as air, gives them back)."""

    path: np.ndarray  # (N, 2) mm
    attenuation: float  # log of the X-rays taken away where the shape is thickest; negative = air
    width: float | None = None  # mm of a stroke along the path; None = the closed path is filled
    soft: float = 0.0  # mm, standard deviation of the blur of its edge
    rise: float = 0.0  # mm over which a filled shape grows from thin at its edge to full thickness
    part: str | None = None  # what it is the whole outline of, for boxes (``datasets.phantoms.parts``)


def smooth(points: Sequence[np.ndarray] | np.ndarray, corners: Sequence[int] = ()) -> np.ndarray:
    """(M, 2) curve through (N, 2) points, smooth except at the points numbered in ``corners``.

    Monotone between points in x and in y, so a landmark that is the extreme of its neighbours is the
    extreme of the curve: the picture agrees with the annotation.
    """
    knots = np.asarray(points, np.float64)
    ends = [0, *sorted(corners), len(knots) - 1]
    pieces = [_smooth_piece(knots[a : b + 1]) for a, b in pairwise(ends) if b > a]
    return np.concatenate([*pieces, knots[-1:]])


def _smooth_piece(knots: np.ndarray, samples: int = 10) -> np.ndarray:
    """Cubic Hermite pieces with the tangents of Fritsch & Butland (1984), over the root of the chord."""
    steps = np.sqrt(np.linalg.norm(np.diff(knots, axis=0), axis=1))[:, None] + 1e-6
    slopes = np.diff(knots, axis=0) / steps  # (N - 1, 2)
    before, after = 2.0 * steps[1:] + steps[:-1], steps[1:] + 2.0 * steps[:-1]
    same = slopes[:-1] * slopes[1:] > 0.0
    left, right = np.where(same, slopes[:-1], 1.0), np.where(same, slopes[1:], 1.0)
    inner = np.where(same, (before + after) / (before / left + after / right), 0.0)
    tangents = np.concatenate([slopes[:1], inner, slopes[-1:]])  # (N, 2)
    u = (np.arange(samples) / samples)[:, None]
    ends = np.stack([2 * u**3 - 3 * u**2 + 1, 3 * u**2 - 2 * u**3])  # (2, samples, 1)
    turns = np.stack([u**3 - 2 * u**2 + u, u**3 - u**2])
    here = np.stack([knots[:-1], knots[1:]])[:, :, None] * ends[:, None]  # (2, N - 1, samples, 2)
    bend = np.stack([tangents[:-1] * steps, tangents[1:] * steps])[:, :, None] * turns[:, None]
    return (here + bend).sum(0).reshape(-1, 2)


def ellipse(
    centre: np.ndarray, along: np.ndarray, across: np.ndarray, degrees: tuple[float, float] = (0.0, 360.0)
) -> np.ndarray:
    """(M, 2) arc of an ellipse given by its two half axes as vectors; angle 0 lies on ``along``."""
    angles = np.deg2rad(np.linspace(*degrees, 61))[:, None]
    return centre + np.cos(angles) * along + np.sin(angles) * across


def blob(rng: np.random.Generator, centre: np.ndarray, radius: float) -> np.ndarray:
    """(M, 2) irregular closed outline of about this radius."""
    angles = np.linspace(0.0, 2.0 * np.pi, 25)[:, None]
    orders = np.arange(1, 5)
    heights, phases = rng.uniform(-0.25, 0.25, 4) / orders, rng.uniform(0.0, 2.0 * np.pi, 4)
    waves = (heights * np.sin(angles * orders + phases)).sum(1, keepdims=True)
    return centre + radius * (1.0 + waves) * np.concatenate([np.cos(angles), np.sin(angles)], 1)


def double(
    path: np.ndarray, rng: np.random.Generator, attenuation: float, *, width: float
) -> list[Structure]:
    """The same edge on the far side of the head, which the beam shows beside the near one, fainter."""
    shift = rng.normal(0.0, 1.6, 2)
    return [Structure(path + shift, attenuation * rng.uniform(0.5, 1.0), width=width, soft=0.6)]


def attenuation_map(structures: Iterable[Structure], size: tuple[int, int], spacing: float) -> np.ndarray:
    """(H, W) float32: the attenuations of all structures added up.

    size: (width, height) in pixels; spacing: mm per pixel.
    """
    total = np.zeros(size[::-1], np.float32)
    for structure in structures:
        _add(total, structure, spacing)
    return total


def _add(total: np.ndarray, structure: Structure, spacing: float) -> None:
    path, soft = structure.path / spacing, structure.soft / spacing
    width = None if structure.width is None else structure.width / spacing
    reach = 1.0 + 3.0 * soft + (0.0 if width is None else width / 2.0)
    limit = np.array(total.shape[::-1])
    low = np.floor(path.min(0) - reach).astype(int).clip(0, limit)
    high = np.ceil(path.max(0) + reach).astype(int).clip(0, limit)
    if (high <= low).any():
        return
    mask = _coverage(path - low, width, tuple(high - low))
    if structure.rise:
        mask *= np.sqrt((2.0 * blur(mask, structure.rise / spacing) - 1.0).clip(min=0.0))
    if soft:
        mask = blur(mask, soft)
    total[low[1] : high[1], low[0] : high[0]] += np.float32(structure.attenuation) * mask


def _coverage(path: np.ndarray, width: float | None, size: tuple[int, int]) -> np.ndarray:
    """(H, W) float32 in [0, 1]: the share of each pixel that the shape covers. All in pixels."""
    canvas = np.zeros((size[1] * _FINE, size[0] * _FINE), np.uint8)
    # OpenCV puts index 0 at the centre of a pixel; continuous coordinates put 0.5 there.
    vertices = np.round((path * _FINE - 0.5) * 2**_SHIFT).astype(np.int32)
    if width is None:
        cv2.fillPoly(canvas, [vertices], 255, cv2.LINE_8, _SHIFT)
    else:
        cv2.polylines(canvas, [vertices], False, 255, max(1, round(width * _FINE)), cv2.LINE_8, _SHIFT)
    return cv2.resize(canvas, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by about a Gaussian of ``sigma`` pixels, at a cost that does not grow with it."""
    if sigma < 2.0:
        return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    size = 2 * round(2.45 * sigma) + 1  # a stack blur of radius r has a standard deviation of r / 2.45
    return cv2.stackBlur(image, (size, size))

"""One X-ray under every shift, with what a model finds on it."""

from collections.abc import Mapping

import numpy as np

from transforms.geometry import warp_points
from transforms.sample import PointSample
from transforms.shifts import shifted_copy
from util.evaluation.landmarks.shift_comparison import UNSHIFTED
from util.reporting.grid import captioned, grid
from util.reporting.visualise import fit, overlay

_CAPTION = 22  # pixels


def shift_sheet(sample: PointSample, predicted: Mapping[str, np.ndarray], side: int = 420) -> np.ndarray:
    """(H, W, 3) uint8 grid of ``sample`` under every shift of ``predicted``, truth and prediction drawn.

    predicted: (K, 2) pixels of the source image, by name of the shift or UNSHIFTED; each is drawn where it
    lies in the shifted copy. ``side``: pixels of a square tile.
    """
    return grid([_tile(sample, name, points, side) for name, points in predicted.items()], wide=1.6)


def _tile(sample: PointSample, name: str, predicted: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3): the shifted copy above its name and the mean error of the landmarks in the frame."""
    shown = sample if name == UNSHIFTED else shifted_copy(sample, name)
    small = fit(shown.image, side - _CAPTION)
    zoom = np.array(small.shape[1::-1]) / shown.size
    here = warp_points(predicted, np.linalg.inv(shown.to_source))
    drawn = overlay(small, here * zoom, truth=shown.points * zoom, dot=1.5)
    radial = np.linalg.norm((predicted - shown.source_points) * sample.spacing, axis=-1)
    caption = f"{name}  {np.nanmean(radial):.2f} {sample.unit}" if np.isfinite(radial).any() else name
    return captioned(drawn, caption, side, letters=0.5)

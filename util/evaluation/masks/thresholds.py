"""Which probability a pixel needs to belong to its class: chosen by Dice on the validation images.

A network that was trained for few steps, or a class that is small, may never be half sure and yet be right
about where it is more likely than elsewhere.
"""

import numpy as np

GRID = np.arange(1, 20) / 20  # thresholds that are tried
_SMOOTHING = 1e-4  # of the task's Dice


def dice_curve(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(T,) Dice of one class of one image at every threshold of ``GRID``.

    probabilities: (H, W) float; truth: (H, W) bool; pixels of the canvas.
    """
    edges = np.concatenate([[-np.inf], GRID, [np.inf]])
    found, right = (
        np.histogram(values, edges)[0][::-1].cumsum()[::-1][1:]  # pixels at or above each threshold
        for values in (probabilities, probabilities[truth])
    )
    return (2.0 * right + _SMOOTHING) / (found + truth.sum() + _SMOOTHING)


def best_thresholds(curves: np.ndarray) -> list[float]:
    """(K,) the thresholds with the highest mean Dice, the nearest to 1/2 of those that are equal.

    curves: (N, K, T), NaN where a class is unknown in an image; 1/2 for a class that is never known.
    """
    known = np.isfinite(curves)
    means = np.where(known, curves, 0.0).sum(0) / np.maximum(known.sum(0), 1)  # (K, T)
    order = np.argsort(np.abs(GRID - 0.5), kind="stable")  # from 1/2 outwards
    best = order[means[:, order].round(6).argmax(1)]
    return GRID[best].tolist()

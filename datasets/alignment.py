"""Shapes laid over their mean, robustly: neither place, turn nor size of a shape matters then.

Each shape is brought to the median of all by the similarity that fits most of its points (Umeyama, 1991,
reweighted), so that a few wrong ones do not turn it.
"""

import warnings

import numpy as np

LEAST_FOR_ALIGNMENT = 6  # places
_ROUNDS = 8  # of reweighting, and of finding the mean shape


def laid_over(
    centres: np.ndarray, mirrors: tuple[bool, ...] = (False, True)
) -> tuple[np.ndarray, np.ndarray]:
    """(N, K, 2) centres laid over their mean shape, and (N,) whether mirrored for it.

    mirrors: whether a shape may be as it is, mirrored, or either. With fewer than ``LEAST_FOR_ALIGNMENT``
    places nothing is moved. Images with too few of them to tell how they lie are NaN throughout.
    """
    placed, mirrored = centres.copy(), np.zeros(len(centres), bool)
    if centres.shape[1] < LEAST_FOR_ALIGNMENT:
        return placed, mirrored
    complete = np.isfinite(centres).all(-1).sum(1)
    usual = centres[int(complete.argmax())]
    for _ in range(_ROUNDS):
        for n, points in enumerate(centres):
            placed[n], mirrored[n] = _fitted(points, usual, mirrors)
        usual = median_shape(placed)
    return placed, mirrored


def _fitted(points: np.ndarray, usual: np.ndarray, mirrors: tuple[bool, ...]) -> tuple[np.ndarray, bool]:
    """(K, 2) points by the similarity that brings most of them near ``usual``, and whether it mirrors."""
    both = np.isfinite(points).all(-1) & np.isfinite(usual).all(-1)
    if both.sum() < LEAST_FOR_ALIGNMENT:
        return np.full_like(points, np.nan), False
    fits = [_similarity(points[both], usual[both], mirror=mirror) for mirror in mirrors]
    errors = [np.median(np.linalg.norm(_moved(points[both], fit) - usual[both], axis=-1)) for fit in fits]
    best = int(np.argmin(errors))
    return _moved(points, fits[best]), mirrors[best]


def _similarity(points: np.ndarray, usual: np.ndarray, *, mirror: bool) -> tuple[np.ndarray, np.ndarray]:
    """Linear part and shift, least squares with weights that fall for what does not fit."""
    weights = np.ones(len(points))
    linear, shift = np.eye(2), np.zeros(2)
    for _ in range(_ROUNDS):
        share = weights / weights.sum()
        here, there = share @ points, share @ usual
        from_here, from_there = points - here, usual - there
        u, lengths, vt = np.linalg.svd((from_there * share[:, None]).T @ from_here)
        sign = np.array([1.0, np.sign(np.linalg.det(u @ vt)) * (-1.0 if mirror else 1.0)])
        rotation = u @ np.diag(sign) @ vt
        zoom = (lengths * sign).sum() / max((share * (from_here**2).sum(1)).sum(), 1e-12)
        linear, shift = zoom * rotation, there - zoom * rotation @ here
        errors = np.linalg.norm(_moved(points, (linear, shift)) - usual, axis=-1)
        weights = 1.0 / (1.0 + (errors / max(float(np.median(errors)), 1e-6)) ** 2)
    return linear, shift


def _moved(points: np.ndarray, fit: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return points @ fit[0].T + fit[1]


def median_shape(placed: np.ndarray) -> np.ndarray:
    """(K, 2) over images; NaN where no image has the structure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of all-NaN columns, which are fine here
        return np.nanmedian(placed, 0)

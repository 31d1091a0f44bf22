"""Labels that are probably wrong: structures that lie elsewhere, or are of another size, than in all others.

Where an image shows six structures or more, it is first laid over the mean of all images by the similarity,
mirrored or not, that fits most of them (Umeyama, 1991, reweighted), so that neither the place, the turn and
the size of a hand matter nor which of the two hands it is. With fewer, places count as shares of the frame.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_LEAST_FOR_ALIGNMENT = 6
_ROUNDS = 8  # of reweighting, and of finding the mean shape
_FAR = 6.0  # robust standard deviations from where all others have it
_LEAST_SHIFT = 0.06  # as a share of the extent of the structures, below which nothing is suspected
_SIZE = 5.0
_LEAST_RATIO = 1.6  # of areas
_MIRRORED = 0.2  # share of images, below which a mirror image is an exception


@dataclass(frozen=True)
class Suspect:
    """One structure of one image, and why it is suspected."""

    case: str
    structure: str  # "" for the whole image
    reason: str
    score: float  # how far it is beyond what is usual; 1 is the limit


def find_suspects(
    cases: Sequence[str], classes: Sequence[str], centres: np.ndarray, areas: np.ndarray
) -> list[Suspect]:
    """The most suspicious first; none from fewer than eight images, which tell nothing of what is usual.

    centres: (N, K, 2) as shares of the image height, NaN where there is no such structure; areas: (N, K) as
    shares of the image's area.
    """
    if len(cases) < 8:
        return []
    placed, mirrored = _laid_over(centres)
    found = [*_shifted(cases, classes, placed), *_odd_sizes(cases, classes, areas)]
    few = mirrored if mirrored.mean() <= 0.5 else ~mirrored
    if 0 < few.mean() <= _MIRRORED:
        found += [
            Suspect(case, "", "the structures lie as in a mirror image of the others", 2.0)
            for case, mirror in zip(cases, few, strict=True)
            if mirror
        ]
    return sorted(found, key=lambda suspect: -suspect.score)


def _shifted(cases: Sequence[str], classes: Sequence[str], placed: np.ndarray) -> list[Suspect]:
    usual = _median(placed)  # (K, 2)
    distances = np.linalg.norm(placed - usual, axis=-1)  # (N, K)
    extent = 2.0 * np.sqrt(np.nanvar(usual, 0).sum())
    typical = np.nanmedian(distances, 0) / 1.18  # of the two axes' normal errors: a robust standard deviation
    limit = np.maximum(_FAR * typical, _LEAST_SHIFT * extent)
    found = []
    for n, k in _where(np.nan_to_num(distances) > limit):
        others = np.linalg.norm(usual - placed[n, k], axis=-1)
        nearest = int(np.nanargmin(others))
        reason = "lies far from where the others have it"
        if nearest != k and others[nearest] < limit[nearest]:
            reason = f"lies where the others have {classes[nearest]}"
        found.append(Suspect(cases[n], classes[k], reason, float(distances[n, k] / limit[k])))
    return found


def _odd_sizes(cases: Sequence[str], classes: Sequence[str], areas: np.ndarray) -> list[Suspect]:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(areas > 0, np.log(areas), np.nan)
    relative = logs - np.nanmedian(logs, 0)
    if areas.shape[1] >= _LEAST_FOR_ALIGNMENT:
        relative = relative - np.nanmedian(relative, 1, keepdims=True)  # large hands have large bones
    spread = 1.48 * np.nanmedian(np.abs(relative), 0)
    limit = np.maximum(_SIZE * spread, np.log(_LEAST_RATIO))
    return [
        Suspect(cases[n], classes[k], _size(relative[n, k]), float(abs(relative[n, k]) / limit[k]))
        for n, k in _where(np.abs(np.nan_to_num(relative)) > limit)
    ]


def _size(log_ratio: float) -> str:
    return f"{np.exp(abs(log_ratio)):.1f} times {'larger' if log_ratio > 0 else 'smaller'} than usual"


def _where(condition: np.ndarray) -> list[tuple[int, int]]:
    return [(int(n), int(k)) for n, k in np.argwhere(condition)]


def _laid_over(centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, K, 2) centres laid over their mean shape, and (N,) whether mirrored for it.

    Images with too few structures to tell how they lie are NaN throughout.
    """
    placed, mirrored = centres.copy(), np.zeros(len(centres), bool)
    if centres.shape[1] < _LEAST_FOR_ALIGNMENT:
        return placed, mirrored
    complete = np.isfinite(centres).all(-1).sum(1)
    usual = centres[int(complete.argmax())]
    for _ in range(_ROUNDS):
        for n, points in enumerate(centres):
            placed[n], mirrored[n] = _fitted(points, usual)
        usual = _median(placed)
    return placed, mirrored


def _fitted(points: np.ndarray, usual: np.ndarray) -> tuple[np.ndarray, bool]:
    """(K, 2) points by the similarity that brings most of them near ``usual``, and whether it mirrors."""
    both = np.isfinite(points).all(-1) & np.isfinite(usual).all(-1)
    if both.sum() < _LEAST_FOR_ALIGNMENT:
        return np.full_like(points, np.nan), False
    fits = [_similarity(points[both], usual[both], mirror=mirror) for mirror in (False, True)]
    errors = [np.median(np.linalg.norm(_moved(points[both], fit) - usual[both], axis=-1)) for fit in fits]
    mirror = bool(errors[1] < errors[0])
    return _moved(points, fits[mirror]), mirror


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


def _median(placed: np.ndarray) -> np.ndarray:
    """(K, 2) over images; NaN where no image has the structure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of all-NaN columns, which are fine here
        return np.nanmedian(placed, 0)

"""Labels that are probably wrong: structures that lie elsewhere, or are of another size, than in all others.

Where an image shows six structures or more, it is first laid over the mean of all images by the similarity,
mirrored or not, that fits most of them (Umeyama, 1991, reweighted), so that neither the place, the turn and
the size of a hand matter nor which of the two hands it is. With fewer, places count as shares of the frame.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from datasets.alignment import LEAST_FOR_ALIGNMENT, laid_over, median_shape

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
    placed, mirrored = laid_over(centres)
    with warnings.catch_warnings():  # numpy's, of a class that no image shows: it has no usual place or size
        warnings.simplefilter("ignore", RuntimeWarning)
        far = _shifted(cases, classes, placed)
        known = {(suspect.case, suspect.structure) for suspect in far}
        near = [s for s in _exchanged(cases, classes, placed) if (s.case, s.structure) not in known]
        found = [*far, *near, *_odd_sizes(cases, classes, areas)]
    few = mirrored if mirrored.mean() <= 0.5 else ~mirrored
    if 0 < few.mean() <= _MIRRORED:
        found += [
            Suspect(case, "", "the structures lie as in a mirror image of the others", 2.0)
            for case, mirror in zip(cases, few, strict=True)
            if mirror
        ]
    return sorted(found, key=lambda suspect: -suspect.score)


def _shifted(cases: Sequence[str], classes: Sequence[str], placed: np.ndarray) -> list[Suspect]:
    usual = median_shape(placed)  # (K, 2)
    distances = np.linalg.norm(placed - usual, axis=-1)  # (N, K)
    extent = 2.0 * np.sqrt(np.nanvar(usual, 0).sum())
    limit = np.maximum(_FAR * _spread(distances), _LEAST_SHIFT * extent)
    found = []
    for n, k in _where(np.nan_to_num(distances) > limit):
        others = np.linalg.norm(usual - placed[n, k], axis=-1)
        nearest = int(np.nanargmin(others))
        reason = "lies far from where the others have it"
        if nearest != k and others[nearest] < limit[nearest]:
            reason = f"lies where the others have {classes[nearest]}"
        found.append(Suspect(cases[n], classes[k], reason, float(distances[n, k] / limit[k])))
    return found


def _exchanged(cases: Sequence[str], classes: Sequence[str], placed: np.ndarray) -> list[Suspect]:
    """Two that have each other's label. Neighbours so exchanged may lie no farther off than is usual, but the
    way from one to the other, which varies little, is then turned round.
    """
    usual = median_shape(placed)
    away = np.linalg.norm(placed[:, :, None] - usual, axis=-1)  # (N, K, K) from the usual place of each
    found = []
    for j, k in combinations(range(len(classes)), 2):
        turned = np.linalg.norm(placed[:, k] - placed[:, j] - (usual[k] - usual[j]), axis=-1)
        limit = _FAR * _spread(turned)
        exchanged = (away[:, j, k] < away[:, j, j]) & (away[:, k, j] < away[:, k, k]) & (turned > limit)
        for n in map(int, np.flatnonzero(exchanged)):
            for own, other in ((j, k), (k, j)):
                reason = f"lies where the others have {classes[other]}"
                found.append(Suspect(cases[n], classes[own], reason, float(turned[n] / limit)))
    return found


def _spread(distances: np.ndarray) -> np.ndarray:
    """(N, ...) distances in the plane -> a robust standard deviation of either axis, over the images."""
    return np.nanmedian(distances, 0) / 1.18  # the median distance of two axes' normal errors


def _odd_sizes(cases: Sequence[str], classes: Sequence[str], areas: np.ndarray) -> list[Suspect]:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(areas > 0, np.log(areas), np.nan)
    relative = logs - np.nanmedian(logs, 0)
    if areas.shape[1] >= LEAST_FOR_ALIGNMENT:
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

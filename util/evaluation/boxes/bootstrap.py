"""Intervals of average precision: whole images are drawn, since objects of one image are not independent."""

from collections.abc import Sequence

import numpy as np

from util.evaluation.boxes.matches import ClassMatches, mean_precision

RESAMPLES = 1000
_TAILS = (2.5, 97.5)
_WORK = 2e8  # detections times resamples, beyond which fewer resamples are drawn
_LEAST = 100


def draws(num_images: int, num_resamples: int, seed: int = 0) -> np.ndarray:
    """(R, N) how often each image is drawn, when as many as there are come with replacement."""
    chances = np.full(num_images, 1.0 / num_images)
    counts = np.random.default_rng(seed).multinomial(num_images, chances, size=num_resamples)
    return counts.astype(np.float64)


def num_resamples(matches: Sequence[ClassMatches]) -> int:
    """1000, and fewer where so many detections would take minutes; at least 100."""
    detections = max(sum(len(item.scores) for item in matches), 1)
    return int(np.clip(_WORK / (detections * len(matches[0].found)), _LEAST, RESAMPLES))


def resampled(matches: Sequence[ClassMatches], counts: np.ndarray) -> np.ndarray:
    """(R, 3) AP, AP50 and AP75 of each resample of ``counts`` (R, N)."""
    return np.stack([three(mean_precision(matches, weights)) for weights in counts])


def intervals(values: np.ndarray) -> list[tuple[float, float]]:
    """95 % percentile intervals of the columns of (R, C): Efron & Tibshirani, 1993. NaN counts nowhere."""
    low, high = np.nanpercentile(values, _TAILS, axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def three(precision: np.ndarray) -> np.ndarray:
    """(3,) AP, AP50, AP75 from the AP at each overlap."""
    return np.array([precision.mean(), precision[0], precision[5]])

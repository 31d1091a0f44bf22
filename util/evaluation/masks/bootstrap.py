"""Intervals of mask numbers: persons are drawn, since images of one person are not independent."""

from collections.abc import Sequence

import numpy as np

_RESAMPLES = 1000
_TAILS = (2.5, 97.5)


def class_means(values: np.ndarray) -> np.ndarray:
    """(K + 1,) the mean of (N, K) over images, a class each, and the mean of those; NaN counts nowhere."""
    return _means(np.ones((1, len(values))), values)[0]


def intervals(values: np.ndarray, persons: Sequence[str], seed: int = 0) -> np.ndarray:
    """(K + 1, 2) the 95 % intervals of ``class_means``: percentile bootstrap (Efron & Tibshirani, 1993)."""
    return _percentiles(_means(draws(persons, seed), values))


def paired_difference(
    values: np.ndarray, reference: np.ndarray, persons: Sequence[str], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(K + 1,) ``class_means`` less those of a reference on the same images, and (K + 1, 2) their intervals.

    The same persons are drawn for both, so what makes a person hard for both does not widen the interval.
    Only images count that both have a number for. Raises ValueError when the shapes differ.
    """
    if values.shape != reference.shape or len(values) != len(persons):
        raise ValueError(
            f"numbers of {values.shape} and {reference.shape} for {len(persons)} images, expected the same "
            "images and classes. Evaluate both on the same subset."
        )
    difference = values - reference
    return class_means(difference), _percentiles(_means(draws(persons, seed), difference))


def draws(persons: Sequence[str], seed: int) -> np.ndarray:
    """(R, N) how often each image is drawn, when as many persons as there are come with replacement."""
    names, person = np.unique(list(persons), return_inverse=True)
    chances = np.full(len(names), 1.0 / len(names))
    counts = np.random.default_rng(seed).multinomial(len(names), chances, size=_RESAMPLES)
    return counts[:, person].astype(np.float64)


def _means(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(R, K + 1) ``class_means`` with images weighted by (R, N)."""
    present = np.isfinite(values)
    totals, counts = weights @ np.nan_to_num(values), weights @ present  # (R, K)
    means = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)
    filled = np.isfinite(means)
    number = filled.sum(1)
    overall = np.divide(
        np.nan_to_num(means).sum(1), number, out=np.full(len(means), np.nan), where=number > 0
    )
    return np.concatenate([means, overall[:, None]], 1)


def _percentiles(means: np.ndarray) -> np.ndarray:
    """(K + 1, 2) from (R, K + 1); NaN where no draw has a number."""
    result = np.full((means.shape[1], 2), np.nan)
    for column, values in zip(result, means.T, strict=True):
        if np.isfinite(values).any():
            column[:] = np.nanpercentile(values, _TAILS)
    return result

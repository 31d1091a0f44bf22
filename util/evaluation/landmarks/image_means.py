"""Means over images of one number an image, with bootstrap intervals; differences are of the same images."""

import numpy as np

from util.evaluation.landmarks.metrics import resamples


def mean_known(values: np.ndarray) -> np.ndarray:
    """(N,) mean over the known numbers of each row of (N, K); NaN for a row without any."""
    known = np.isfinite(values)
    return np.where(known, values, 0.0).sum(1) / np.where(known.any(1), known.sum(1), np.nan)


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % of the mean of (N,) values, whole images drawn (Efron & Tibshirani, 1993); NaN counts nowhere."""
    known = values[np.isfinite(values)]
    if not known.size:
        return np.nan, np.nan
    draws = resamples(len(known), seed)  # (R, N)
    low, high = np.percentile(draws @ known / draws.sum(1), (2.5, 97.5))
    return float(low), float(high)


def told(values: np.ndarray) -> str:
    """The mean and its interval in words."""
    if not np.isfinite(values).any():
        return "-"
    return "{:.2f} ({:.2f} to {:.2f})".format(np.nanmean(values), *interval(values))

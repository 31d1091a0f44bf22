"""How far two readings of the same things agree: bias, spread, Dahlberg, intraclass correlation, kappa."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

_LIMIT = 1.96  # of a Gaussian: 95 % lie within


@dataclass(frozen=True)
class Agreed:
    """Of n pairs; NaN where too few of them tell it."""

    count: int
    bias: float  # mean of second less first
    sd: float  # of the differences
    low: float  # 95 % limits of agreement (Bland & Altman, 1986)
    high: float
    dahlberg: float  # sqrt(sum d^2 / 2n): the error of one reading (Dahlberg, 1940); holds the bias
    icc: float  # ICC(2,1): two-way random effects, absolute agreement, one reading (Shrout & Fleiss, 1979)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {key: None if value != value else value for key, value in asdict(self).items()}


def agreed(first: np.ndarray, second: np.ndarray) -> Agreed:
    """Of (N,) values with (N,) others of the same things; NaN is left out."""
    both = np.isfinite(first) & np.isfinite(second)
    pairs = np.stack([first[both], second[both]], axis=-1)
    count = len(pairs)
    if count == 0:
        return Agreed(0, *[np.nan] * 6)
    difference = pairs[:, 1] - pairs[:, 0]
    bias = float(difference.mean())
    sd = float(difference.std(ddof=1)) if count > 1 else np.nan
    return Agreed(
        count=count,
        bias=bias,
        sd=sd,
        low=bias - _LIMIT * sd,
        high=bias + _LIMIT * sd,
        dahlberg=float(np.sqrt(np.square(difference).sum() / (2 * count))),
        icc=intraclass_correlation(pairs),
    )


def intraclass_correlation(values: np.ndarray) -> float:
    """ICC(2,1) of (n, k) values: n things, k readers. NaN for fewer than two of either, and for no spread."""
    n, k = values.shape
    if n < 2 or k < 2:
        return np.nan
    mean, of_things, of_readers = values.mean(), values.mean(1), values.mean(0)
    between = k * np.square(of_things - mean).sum() / (n - 1)
    readers = n * np.square(of_readers - mean).sum() / (k - 1)
    rest = np.square(values - of_things[:, None] - of_readers + mean).sum() / ((n - 1) * (k - 1))
    total = between + (k - 1) * rest + k * (readers - rest) / n
    return float((between - rest) / total) if total > 0 else np.nan


def kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Cohen's kappa (1960) of (N,) classes with (N,) others as indices; -1 is left out. NaN for one class."""
    both = (first >= 0) & (second >= 0)
    first, second = first[both], second[both]
    if len(first) == 0:
        return np.nan
    shares = [np.bincount(one, minlength=int(max(first.max(), second.max())) + 1) for one in (first, second)]
    by_chance = float(shares[0] @ shares[1]) / len(first) ** 2
    return float(((first == second).mean() - by_chance) / (1 - by_chance)) if by_chance < 1 else np.nan

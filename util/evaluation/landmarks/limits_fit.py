"""The limits that tell proper X-rays from other pictures, from a model's predictions on proper ones.

A limit is 1.5 times a tolerance limit: with 95 % confidence at most 1 % of proper X-rays would be beyond any
of the three if uncertainty and shape were log-normal and the turn normal about the mean turn; the factor on
their spread for n images is that of the non-central t distribution (Owen, 1968), so few images give wide
limits. Uncertainty has heavier tails than that, hence the slack (docs/files.md says how it was chosen).
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from util.evaluation.landmarks.metrics import Errors
from util.prediction.landmarks.plausibility import Limits, Signs, as_reference, mean_shape

FLAGGED = 0.01  # the share of proper X-rays that limits may flag
CONFIDENCE = 0.95
FEWEST = 10  # images; the factor is 4.6 there, and soars below
LEAST_LANDMARKS = 2
SLACK = 1.5
_TAILS = 4  # that may reach beyond a limit: uncertainty, shape, and the turn either way
_LEAST = 1e-6  # of any sign and spread: an untrained model is the same everywhere


def fit_limits(
    points: np.ndarray,
    uncertainty: np.ndarray,
    *,
    fitted_on: str,
    orientation: tuple[str, str] | None = None,
) -> Limits | None:
    """Limits from (N, K, 2) points and (N, K) radial errors on N proper X-rays, each in a
    unit of its own that is the same along x and y.

    None for fewer than ``FEWEST`` images, and for one landmark alone: it has no extent and no shape.
    """
    if len(points) < FEWEST or points.shape[1] < LEAST_LANDMARKS:
        return None
    reference = mean_shape(points)
    loose = Limits(as_reference(reference), 1.0, 1.0, 1.0, orientation, fitted_on)
    signs = [loose.signs(*seen) for seen in zip(points, uncertainty, strict=True)]
    turns = np.array([sign.turn for sign in signs])
    factor = tolerance_factor(len(points))
    turn_spread = max(float(np.sqrt(np.square(turns).mean())), _LEAST)
    return Limits(
        loose.reference,
        uncertainty=_upper(signs, "uncertainty", factor),
        # each image is in the mean that it is compared with: left out, it is n / (n - 1) times as far
        shape=_upper(signs, "shape", factor) * len(points) / (len(points) - 1),
        turn=SLACK * factor * turn_spread,
        orientation=orientation,
        fitted_on=fitted_on,
    )


def limits_by(errors: Errors, fitted_on: str) -> Limits | None:
    """Limits from what the model says on the images of ``errors``, as ``fit_limits`` has them."""
    return fit_limits(errors.predicted * errors.spacing[:, None], errors.uncertainty_mm, fitted_on=fitted_on)


def tolerance_factor(count: int) -> float:
    """Of standard deviations above the mean of ``count`` normal values that a share of all stays under."""
    share = stats.norm.ppf(1.0 - FLAGGED / _TAILS)
    return float(stats.nct.ppf(CONFIDENCE, count - 1, share * np.sqrt(count)) / np.sqrt(count))


def _upper(signs: Sequence[Signs], name: str, factor: float) -> float:
    logs = np.log(np.maximum([getattr(sign, name) for sign in signs], _LEAST))
    return SLACK * float(np.exp(logs.mean() + factor * logs.std(ddof=1)))

"""How sure a measurement is: the landmarks' covariances carried through its exact derivatives.

First order: SD^2 = sum over landmarks of J_k C_k J_k' with the 2 derivatives J_k and the covariance C_k of
landmark k. The landmarks' errors are taken as independent of each other. Sums over several landmarks are near
Gaussian whatever a single error is, so the 95 % interval is 1.96 SD to either side.

A magnitude v that takes its sign from another quantity is as likely -v as that quantity's sign is wrong; the
variance of this choice, 4 v^2 p (1 - p) with p as its chance, is added.
"""

import numpy as np

from measurements.classes import normal, sign_variance
from measurements.evaluate import Measured

INTERVAL95 = 1.96  # standard deviations


def variance_parts(measured: Measured, covariances: np.ndarray) -> np.ndarray:
    """(N, M, K) what each landmark adds to the variance of each measurement.

    covariances: (N, K, 2, 2) mm^2.
    """
    unknown = np.any(np.isnan(covariances), axis=(-1, -2))  # (N, K)
    parts = np.einsum("nmki,nkij,nmkj->nmk", measured.jacobian, np.nan_to_num(covariances), measured.jacobian)
    needed = np.any(measured.jacobian != 0.0, axis=-1)
    return np.where(unknown[:, None] & needed, np.nan, parts)


def sign_doubts(measured: Measured, covariances: np.ndarray) -> np.ndarray:
    """(N, M) chance that a measurement has the other sign, 0 where the sign is not another quantity's."""
    doubts = np.zeros(measured.values.shape)
    for number, sign in measured.signs.items():
        variance = np.einsum("nki,nkij,nkj->n", sign.gradient, np.nan_to_num(covariances), sign.gradient)
        with np.errstate(divide="ignore", invalid="ignore"):
            doubts[:, number] = normal(-np.abs(sign.value) / np.sqrt(variance))
    return doubts


def standard_deviations(
    measured: Measured, covariances: np.ndarray, scale_error: float | np.ndarray = 0.0
) -> np.ndarray:
    """(N, M) standard deviation of each measurement, in its own unit.

    scale_error: relative standard deviation of the spacing, one or (N,); it acts on lengths alone.
    """
    scale = np.reshape(scale_error, (-1, 1)) * measured.by_scale
    of_signs = sign_variance(measured.values, sign_doubts(measured, covariances))
    return np.sqrt(variance_parts(measured, covariances).sum(-1) + np.square(scale) + of_signs)

"""From a few marked films to the protocol of their readers: an offset a landmark, shrunk by its own error.

Offsets of the landmarks are taken as drawn from one Gaussian of variance t; a landmark whose mean error has
variance w keeps the share t / (t + w) of it (James & Stein, 1961). With one film little is kept, with many
nearly all. The films tell t itself poorly. So shares are averaged over all t by how likely each makes the
means (Morris, 1983), and how sure the offsets are takes that in.
"""

from dataclasses import dataclass

import numpy as np

from measurements.face_frame import FaceFrame
from util.evaluation.landmarks.metrics import Errors
from util.prediction.landmarks.protocol import ProtocolOffsets

# Before any film is seen: squared errors are 1.5 times what the model predicts, as sure as 10 landmarks make
# it, and a landmark's own factor is the common one, as sure as 8 films make it.
_FACTOR, _COMMON_WEIGHT, _OWN_WEIGHT = 1.5, 10.0, 8.0
_GROSS = 1.5  # predicted errors from which on a film counts less for a landmark (Huber, 1964)
_ROUNDS = 20
_WIDTHS = np.geomspace(1e-8, 0.1, 350)  # variances t, in squared sizes of the face: to a third of a face


@dataclass(frozen=True)
class Residuals:
    """What films say of each landmark, in the frame of the face: readers less model, and how sure that is."""

    errors: np.ndarray  # (n, K, 2); NaN where missing
    predicted: np.ndarray  # (n, K) rms radial error that the model expects

    @classmethod
    def of(cls, errors: Errors, reference: np.ndarray) -> "Residuals":
        """reference: (K, 2) of a ``FaceFrame``."""
        matrices = FaceFrame(reference).to_image(errors.predicted * errors.spacing[:, None])
        turned = np.einsum("nij,nkj->nki", np.linalg.inv(matrices), -errors.vectors_mm)
        size = np.sqrt(np.square(matrices[..., 0]).sum(-1))
        return cls(turned, errors.uncertainty_mm / size[:, None])

    def only(self, films: np.ndarray) -> "Residuals":
        """The films with these indices."""
        return Residuals(self.errors[films], self.predicted[films])


def fit_protocol(
    residuals: Residuals, reference: np.ndarray, *, labels: str, canvas: tuple[int, int]
) -> ProtocolOffsets:
    """The offsets that n films ask for; canvas: (width, height) of the model's input.

    Raises ValueError when no landmark is marked on any of them.
    """
    present = np.isfinite(residuals.errors[..., 0])  # (n, K)
    if not present.any():
        raise ValueError("no landmark is marked on these films, expected some. Check the annotations.")
    mean, count = _robust_mean(residuals, present)
    squares = np.nan_to_num(np.square(residuals.errors - mean).sum(-1) / np.square(residuals.predicted))
    freedom = np.maximum(present.sum(0) - 1, 0)  # (K,) one film says nothing of the spread
    spare = np.where(freedom > 0, squares.sum(0), 0.0)  # (K,)
    common = (spare.sum() + _COMMON_WEIGHT * _FACTOR) / (freedom.sum() + _COMMON_WEIGHT)
    own = (spare + _OWN_WEIGHT * common) / (freedom + _OWN_WEIGHT)  # (K,) squared factor
    axis = own / 2.0 / np.maximum((present / np.square(residuals.predicted)).sum(0), 1e-12) * present.sum(0)
    variance = np.where(count > 0, axis / np.maximum(count, 1e-12), np.inf)  # of each axis of the mean
    keeps, likely = _by_width(mean, variance)
    kept = likely @ keeps
    if len(residuals.errors) == 1:  # which cannot tell a gross error from an offset
        width = _median_width(mean[count > 0], variance[count > 0])
        kept = np.minimum(kept, width / (width + variance))
    return ProtocolOffsets(
        reference=reference,
        offset=kept[:, None] * mean,
        variance=likely @ _variances(mean, keeps, kept),
        factor=np.sqrt(own),
        films=len(residuals.errors),
        labels=labels,
        canvas=canvas,
    )


def _robust_mean(residuals: Residuals, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K, 2) mean error of each landmark, sure films first and gross errors last, and (K,) how many films it
    is worth; 0 where no film has the landmark.
    """
    errors = np.where(present[..., None], residuals.errors, 0.0)
    precision = np.where(present, 1.0 / np.square(residuals.predicted), 0.0)
    weight, mean = precision, np.zeros(errors.shape[1:])
    for _ in range(_ROUNDS):
        share = weight / np.maximum(weight.sum(0), 1e-12)
        mean = (share[..., None] * errors).sum(0)
        apart = np.linalg.norm(errors - mean, axis=-1) / residuals.predicted
        weight = precision * np.minimum(1.0, _GROSS / np.maximum(apart, 1e-9))
    share = weight / np.maximum(weight.sum(0), 1e-12)
    worth = np.where(present.any(0), 1.0 / np.maximum(np.square(share).sum(0), 1e-12), 0.0)
    return mean, worth


def _by_width(mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, K) the share of each mean (K, 2) that is offset, for each of the widths, and (T,) how likely these
    are, from a flat prior on t; variance: of each axis of the means, infinite where no film has the landmark.
    """
    keeps = _WIDTHS[:, None] / (_WIDTHS[:, None] + variance)
    known = np.isfinite(variance)
    total = _WIDTHS[:, None] + variance[known]
    log_likelihood = -(np.log(total) + np.square(mean[known]).sum(-1) / total / 2.0).sum(-1)
    likely = _WIDTHS * np.exp(log_likelihood - log_likelihood.max())  # steps of t grow as t does
    return keeps, likely / likely.sum()


def _variances(mean: np.ndarray, keeps: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """(T, K) of each axis of the offsets about the share ``kept`` of each mean: that of one width, which is
    what is not kept of it, and how far that width would move the offset (Kass & Steffey, 1989).
    """
    return _WIDTHS[:, None] * (1.0 - keeps) + np.square(keeps - kept) * np.square(mean).sum(-1) / 2.0


def _median_width(mean: np.ndarray, variance: np.ndarray) -> float:
    """The variance of each axis of the offsets by the median landmark, which gross errors on a film do not
    move: for a Gaussian the median of the squared radius is 2 ln 2 times the variance of an axis.
    """
    return float(max(np.median(np.square(mean).sum(-1) / (2.0 * np.log(2.0)) - variance), 0.0))

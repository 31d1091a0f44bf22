"""Whether landmarks can be those of an X-ray such as the model was trained on.

Three signs tell: how unsure the model is, how far the landmarks' shape is from that of proper X-rays once
place, size and turn are taken out (Procrustes analysis; Gower, 1975), and how far it is turned. Each has a
limit that proper X-rays keep. A checkpoint keeps its limits under ``plausibility``, fitted to its validation
images by the training (``util.evaluation.landmarks.limits_fit``) or by ``tools/fit_plausibility.py``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from transforms.geometry import pixel_shape
from util.prediction.landmarks.image_landmarks import ImageLandmarks
from util.prediction.landmarks.protocol import ProtocolOffsets

KEY = "plausibility"  # in a checkpoint, and in the metadata of an exported graph
_REASONS = {  # by sign
    "uncertainty": "the model is unsure of it",
    "shape": "the landmarks form no shape of the training images",
    "turn": "the landmarks lie turned",
}


@dataclass(frozen=True)
class Signs:
    """What tells a proper X-ray from another picture; lengths in shares of the landmarks' extent."""

    uncertainty: float  # the mean over landmarks
    shape: float  # root mean square distance to the reference shape
    turn: float  # degrees against the reference shape, without sign


@dataclass(frozen=True)
class Limits:
    """What the signs of proper X-rays stay under, and what they are measured against."""

    reference: tuple[tuple[float, float], ...]  # (K, 2) mean shape, centred, of extent 1
    uncertainty: float
    shape: float
    turn: float
    orientation: (
        tuple[str, str] | None
    )  # where rows and columns run in training, as PatientOrientation has it
    fitted_on: str

    def signs(self, points: np.ndarray, uncertainty: np.ndarray) -> Signs:
        """Of (K, 2) points and (K,) radial errors on one upright image, in square pixels of it or mm."""
        shape, turn = shape_difference(points, np.array(self.reference))
        return Signs(float(uncertainty.mean() / extent(points)), shape, turn)

    def strangeness(self, found: ImageLandmarks, spacing: np.ndarray) -> tuple[float, str | None]:
        """How far the worst sign is from its limit (1: just at it), and the reason if it is beyond.

        spacing: (2,) mm per pixel of the points; NaN where unknown.
        """
        signs = self.signs(found.points * pixel_shape(spacing), found.uncertainty_px)
        shares = {name: getattr(signs, name) / getattr(self, name) for name in _REASONS}
        worst = max(shares, key=shares.__getitem__)
        if shares[worst] <= 1.0:
            return shares[worst], None
        return shares[worst], f"{_REASONS[worst]}: {worst} {shares[worst]:.1f} times its limit"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, and plain enough for a checkpoint."""
        return asdict(self) | {
            "reference": [list(point) for point in self.reference],
            "orientation": None if self.orientation is None else list(self.orientation),
        }

    @classmethod
    def from_dict(cls, data: Any, num_landmarks: int, where: str) -> "Limits":
        """Raises ValueError, beginning with ``where``, unless it is what ``to_dict`` gives for so many."""
        try:
            return _from_dict(data, num_landmarks)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ValueError(
                f"{where}: its limits of what is plausible are not as written ({error!r}). Fit them again "
                "with tools/fit_plausibility.py."
            ) from error


def limits_of_file(file: Path, num_landmarks: int) -> Limits | None:
    """The limits of the model in ``file``, a checkpoint or an exported graph; None where it has none.

    Raises ValueError for limits that are damaged or of another number of landmarks.
    """
    if file.suffix == ".onnx":
        from util.export.landmarks.onnx_model import load_graph

        data = load_graph(file, "cpu").metadata.plausibility
        return None if data is None else Limits.from_dict(data, num_landmarks, str(file))
    from util.checkpoints.checkpoint import load_checkpoint

    return limits_of(load_checkpoint(file), num_landmarks, str(file))


def limits_of(checkpoint: Mapping[str, Any], num_landmarks: int, where: str) -> Limits | None:
    """The limits that a checkpoint keeps, for its model as it predicts; None where it keeps none.

    They are kept for what the weights alone say, so that neither another factor on the uncertainty nor
    another protocol needs them fitted anew: both are applied to them here.
    """
    if checkpoint.get(KEY) is None:
        return None
    kept = Limits.from_dict(checkpoint[KEY], num_landmarks, where)
    scaled = replace(kept, uncertainty=kept.uncertainty * float(checkpoint.get("calibration", 1.0)))
    if checkpoint.get("protocol") is None:
        return scaled
    protocol = ProtocolOffsets.from_dict(checkpoint["protocol"], where)
    points = np.array(scaled.reference)
    moved, unsure = protocol.applied(points[None], np.full((1, len(points)), scaled.uncertainty))
    return replace(scaled, reference=as_reference(moved[0]), uncertainty=float(unsure.mean()))


def shape_difference(points: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """RMS distance of (K, 2) ``points`` to ``reference`` of extent 1 at the best fit, and its turn.

    No mirror image is taken: a head facing the other way is another shape. Distance in shares of the extent,
    turn in degrees without sign.
    """
    centred = points - points.mean(0)
    own = centred[:, 0] + 1j * centred[:, 1]  # a turn and a size are one complex factor
    wanted = reference[:, 0] + 1j * reference[:, 1]
    factor = np.vdot(own, wanted) / max(np.vdot(own, own).real, np.finfo(float).tiny)
    residual = np.sqrt((np.abs(factor * own - wanted) ** 2).mean())
    return float(residual), float(abs(np.rad2deg(np.angle(factor))))


def mean_shape(shapes: np.ndarray) -> np.ndarray:
    """(N, K, 2) -> (K, 2) centred, of extent 1: their mean at one place and size, in their mean turn."""
    own = np.stack([normalised(points) for points in shapes]) @ np.array([1, 1j])  # (N, K)
    mean = own[0]
    for _ in range(5):
        factors = own.conj() @ mean  # what turns each onto the mean
        mean = (own * (factors / np.abs(factors))[:, None]).mean(0)
        mean /= np.sqrt((np.abs(mean) ** 2).mean())
    upright = mean * np.exp(1j * np.angle(own @ mean.conj()).mean())  # not the turn of the first
    return np.stack([upright.real, upright.imag], -1)


def as_reference(shape: np.ndarray) -> tuple[tuple[float, float], ...]:
    """(K, 2) points, centred and of extent 1, as ``Limits`` keep them."""
    return tuple((float(x), float(y)) for x, y in normalised(shape))


def normalised(points: np.ndarray) -> np.ndarray:
    """(K, 2) centred and of extent 1."""
    return (points - points.mean(0)) / extent(points)


def extent(points: np.ndarray) -> float:
    """Root mean square distance of (K, 2) from their middle."""
    spread = np.sqrt(((points - points.mean(0)) ** 2).sum(-1).mean())
    return float(max(spread, np.finfo(float).eps))


def _from_dict(data: Mapping[str, Any], num_landmarks: int) -> Limits:
    reference = np.asarray(data["reference"], np.float64)
    uncertainty, shape, turn = (float(data[name]) for name in _REASONS)
    if reference.shape != (num_landmarks, 2) or not np.isfinite(reference).all():
        raise ValueError(f"reference of shape {reference.shape}, expected ({num_landmarks}, 2), finite")
    if not all(0.0 < limit < np.inf for limit in (uncertainty, shape, turn)):
        raise ValueError(f"limits {uncertainty}, {shape}, {turn}, expected positive numbers")
    given = data["orientation"]
    return Limits(
        tuple((float(x), float(y)) for x, y in reference),
        uncertainty,
        shape,
        turn,
        None if given is None else (str(given[0]), str(given[1])),
        str(data["fitted_on"]),
    )

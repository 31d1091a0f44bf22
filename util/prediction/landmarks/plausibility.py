"""Whether landmarks can be those of an X-ray such as the model was trained on.

Three signs tell: how unsure the model is, how far the landmarks' shape is from that of proper X-rays once
place, size and turn are taken out (Procrustes analysis; Gower, 1975), and how far it is turned. Each has a
limit that proper X-rays keep (``tools/fit_plausibility.py``). The limits stand beside the weights:
``weights/cephdetr38.safetensors`` has ``weights/cephdetr38.json``.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from util.files import write_atomic
from util.prediction.landmarks.image_landmarks import ImageLandmarks

_FORMAT = "cephdetr-plausibility-1"


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

    landmarks: tuple[str, ...]
    reference: tuple[tuple[float, float], ...]  # (K, 2) mean shape, centred, of extent 1
    uncertainty: float
    shape: float
    turn: float
    orientation: (
        tuple[str, str] | None
    )  # where rows and columns run in training, as PatientOrientation has it
    fitted_on: str

    def signs(self, found: ImageLandmarks) -> Signs:
        """Of the landmarks of one upright image, in its pixels."""
        extent = _extent(found.points)
        shape, turn = shape_difference(found.points, np.array(self.reference))
        return Signs(float(found.uncertainty_px.mean() / extent), shape, turn)

    def strangeness(self, found: ImageLandmarks) -> tuple[float, str | None]:
        """How far the worst sign is from its limit (1: just at it), and the reason if it is beyond."""
        signs = self.signs(found)
        shares = {name: getattr(signs, name) / getattr(self, name) for name in _REASONS}
        worst = max(shares, key=shares.__getitem__)
        if shares[worst] <= 1.0:
            return shares[worst], None
        return shares[worst], f"{_REASONS[worst]}: {worst} {shares[worst]:.1f} times its limit"

    def write(self, weights: Path) -> Path:
        """Write the limits beside the file ``weights``; where they are now.

        Raises ValueError where something else has that name.
        """
        file = beside(weights)
        if file.exists() and _content(file) is None:
            raise ValueError(f"{file}: holds something else than limits. Move it, they have to stand there.")
        write_atomic(file, json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, allow_nan=False) + "\n")
        return file


def beside(weights: Path) -> Path:
    """Where the limits of the model in ``weights`` stand."""
    return weights.with_suffix(".json")


def read_limits(weights: Path, landmark_set: LandmarkSet) -> Limits | None:
    """The limits of the model in ``weights``; None where there are none, as beside older files.

    Raises ValueError for limits that are damaged or of other landmarks.
    """
    file = beside(weights)
    data = _content(file) if file.is_file() else None
    if data is None:
        return None
    try:
        limits = _from_dict(data)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: {error!r}, expected what tools/fit_plausibility.py writes.") from error
    if limits.landmarks != landmark_set.landmarks:
        raise ValueError(f"{file}: limits of other landmarks than those of {weights}. Fit them anew.")
    return limits


def carry_limits(weights: Path, other: Path) -> Path | None:
    """Write the limits of ``weights`` beside ``other`` too, the same model in another form."""
    data = _content(beside(weights)) if beside(weights).is_file() else None
    return None if data is None else _from_dict(data).write(other)


def fit_limits(
    proper: Sequence[ImageLandmarks],
    landmark_set: LandmarkSet,
    *,
    slack: float,
    orientation: tuple[str, str] | None,
    fitted_on: str,
) -> Limits:
    """Limits ``slack`` times the largest sign among the predictions on ``proper`` X-rays.

    Raises ValueError for none, and for a slack below 1.
    """
    if not proper or slack < 1.0:
        raise ValueError(f"{len(proper)} predictions and slack {slack}, expected some and at least 1.")
    reference = mean_shape([found.points for found in proper])
    loose = Limits(
        landmark_set.landmarks,
        tuple((float(x), float(y)) for x, y in reference),
        *(1.0, 1.0, 1.0),
        orientation,
        fitted_on,
    )
    signs = [loose.signs(found) for found in proper]
    worst = {name: slack * max(getattr(sign, name) for sign in signs) for name in _REASONS}
    return Limits(loose.landmarks, loose.reference, **worst, orientation=orientation, fitted_on=fitted_on)


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


def mean_shape(shapes: Sequence[np.ndarray]) -> np.ndarray:
    """(K, 2) centred, of extent 1: the mean of ``shapes`` at one place and size, in their mean turn."""
    mean = _normalised(shapes[0])
    for _ in range(5):
        aligned = []
        for points in shapes:
            own = _normalised(points) @ [1, 1j]
            factor = np.vdot(own, mean @ [1, 1j])
            turned = own * factor / abs(factor)
            aligned.append(np.stack([turned.real, turned.imag], -1))
        mean = _normalised(np.mean(aligned, 0))
    upright = np.mean([np.angle(np.vdot(mean @ [1, 1j], _normalised(points) @ [1, 1j])) for points in shapes])
    turned = (mean @ [1, 1j]) * np.exp(1j * upright)  # the mean turn of the images, not that of the first
    return np.stack([turned.real, turned.imag], -1)


def _normalised(points: np.ndarray) -> np.ndarray:
    return (points - points.mean(0)) / _extent(points)


def _extent(points: np.ndarray) -> float:
    """Root mean square distance from the centroid."""
    spread = np.sqrt(((points - points.mean(0)) ** 2).sum(-1).mean())
    return float(max(spread, np.finfo(float).eps))


def _content(file: Path) -> dict[str, Any] | None:
    """What ``file`` says; None for the results of something else that share the name."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: not valid JSON ({error}). Restore it, or remove it.") from error
    return data if isinstance(data, dict) and data.get("format") == _FORMAT else None


def _from_dict(data: dict[str, Any]) -> Limits:
    reference = np.asarray(data["reference"], np.float64)
    numbers = [float(data[name]) for name in _REASONS]
    landmarks = tuple(map(str, data["landmarks"]))
    if reference.shape != (len(landmarks), 2) or not np.isfinite(reference).all() or min(numbers) <= 0:
        raise ValueError(f"reference of shape {reference.shape}, limits {numbers}")
    given = data.get("orientation")
    orientation = None if given is None else (str(given[0]), str(given[1]))
    shape = tuple((float(x), float(y)) for x, y in reference)
    uncertainty, distance, turn = numbers
    return Limits(landmarks, shape, uncertainty, distance, turn, orientation, str(data["fitted_on"]))

"""What following a protocol brings: on the marked films themselves, each by the others, and with more.

Lengths are in the unit of the data, as in ``metrics``: names that end in ``_mm`` leave for a file under those
of their unit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from measurements.face_frame import FaceFrame
from transforms.sample import MILLIMETRES
from util.evaluation.landmarks.calibration import coverage_percent
from util.evaluation.landmarks.metrics import TOLERANCE_MM, Errors, json_ready
from util.evaluation.landmarks.protocol_fit import Residuals, fit_protocol
from util.evaluation.landmarks.unit_names import named_by_unit
from util.prediction.landmarks.protocol import ProtocolOffsets

MORE_FILMS = (1, 2, 5, 10, 20, 40)
_WITHIN_MM = 2.0
_LEARNT_BY_HEART = 80.0  # percent in the 68 % radius; on its training films cephdetr19 has 86, on others 58
_LEAST_FILMS = 3  # that tell it


@dataclass(frozen=True)
class Side:
    """How a model does on some films."""

    mre_mm: float
    sdr2_percent: float
    coverage_percent: dict[str, float]  # of the radii that should hold 68 and 95 percent

    @classmethod
    def of(cls, radial_mm: np.ndarray, uncertainty_mm: np.ndarray) -> "Side":
        """radial_mm, uncertainty_mm: (n, K); NaN where missing."""
        known = radial_mm[~np.isnan(radial_mm)]
        return cls(
            mre_mm=float(known.mean()),
            sdr2_percent=100.0 * float((known <= _WITHIN_MM + TOLERANCE_MM).mean()),
            coverage_percent=coverage_percent(radial_mm, uncertainty_mm),
        )


@dataclass(frozen=True)
class Gain:
    """A model as it was, and following the protocol of n films, each film judged by the other n - 1."""

    before: Side
    after: Side | None  # None for one film: there is no other
    expected_mre_mm: dict[int, float]  # 0 and MORE_FILMS more -> the error on a new film; empty for one film
    unit: str = MILLIMETRES

    def warning(self, films: int) -> str:
        """What is odd where these films may be no test of the model; empty otherwise."""
        held = self.before.coverage_percent.get("68", 0.0)
        if films < _LEAST_FILMS or held < _LEARNT_BY_HEART:
            return ""
        return (
            f"the model errs less on these films than it says (its 68 % radius holds {held:.1f} %). If it "
            "was trained on them, or readers left its points where they were, these numbers are too good and "
            "its radii become too small"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; lengths named by their unit."""
        after = self.after and vars(self.after)
        expected = {str(more): mre for more, mre in self.expected_mre_mm.items()}
        content = {"before": vars(self.before), "after": after, "expected_mre_mm": expected}
        return json_ready(named_by_unit(content | {"unit": self.unit}, self.unit))


def gain(errors: Errors, protocol: ProtocolOffsets) -> Gain:
    """What ``protocol``, fitted on the films of ``errors``, is worth; errors: of the model without it."""
    before = Side.of(errors.radial_mm, errors.uncertainty_mm)
    if len(errors.cases) == 1:
        return Gain(before, None, {}, errors.unit)
    after = Side.of(*_each_by_the_others(errors, protocol))
    return Gain(before, after, _with_more(errors, protocol, after.mre_mm), errors.unit)


def adapted(errors: Errors, protocol: ProtocolOffsets) -> tuple[np.ndarray, np.ndarray]:
    """(n, K) radial errors and predicted rms errors of the model that follows ``protocol``."""
    spacing = errors.spacing[:, None]
    points, uncertainty = protocol.applied(errors.predicted * spacing, errors.uncertainty_mm)
    return np.linalg.norm(points - errors.truth * spacing, axis=-1), uncertainty


def face_size_mm(errors: Errors, protocol: ProtocolOffsets) -> float:
    """The length of one unit of the protocol's frame, on average over the films."""
    matrices = FaceFrame(protocol.reference).to_image(errors.predicted * errors.spacing[:, None])
    return float(np.sqrt(np.square(matrices[..., 0]).sum(-1)).mean())


def _each_by_the_others(errors: Errors, protocol: ProtocolOffsets) -> tuple[np.ndarray, np.ndarray]:
    residuals = Residuals.of(errors, protocol.reference)
    count = len(errors.cases)
    parts = []
    for film in range(count):
        others = np.delete(np.arange(count), film)
        fitted = fit_protocol(
            residuals.only(others), protocol.reference, labels=protocol.labels, canvas=protocol.canvas
        )
        this = [other == film for other in range(count)]
        parts.append(adapted(errors.only(this), fitted))
    radial, uncertainty = zip(*parts, strict=True)
    return np.concatenate(radial), np.concatenate(uncertainty)


def _with_more(errors: Errors, protocol: ProtocolOffsets, with_one_less: float) -> dict[int, float]:
    """The mean error on a new film after 0 and more films.

    It starts at ``with_one_less``, that of each film judged by the others. How it falls from there is the
    fit's own word: a landmark's squared error is its own scatter and twice the variance of each axis of its
    offset, which with m films instead of n falls by the share n / m.
    """
    size, films = face_size_mm(errors, protocol), protocol.films
    scatter = np.square(protocol.factor) * np.nanmean(np.square(errors.uncertainty_mm), axis=0)  # (K,)

    def root_mean_square(more: int) -> float:
        return float(np.sqrt(np.mean(scatter + 2.0 * size**2 * protocol.variance * films / (films + more))))

    unit = with_one_less / root_mean_square(-1)
    return {more: unit * root_mean_square(more) for more in (0, *MORE_FILMS)}

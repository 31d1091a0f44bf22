"""Two readings beside each other: where landmarks lie, what is measured, and which classes come of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import shipped_names
from measurements.analysis import Analysis, Measurement
from measurements.evaluate import measure
from measurements.rates import agreement
from measurements.reader_agreement import Agreed, agreed, kappa
from util.evaluation.landmarks.metrics import json_ready
from util.evaluation.landmarks.readings import Paired


@dataclass(frozen=True)
class LandmarkAgreement:
    """One landmark in mm, second less first; x to the right and y down."""

    name: str
    x: Agreed
    y: Agreed
    distance: float  # mean

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "x": self.x.to_dict(),
            "y": self.y.to_dict(),
            "mean_distance_mm": self.distance,
        }


@dataclass(frozen=True)
class MeasurementAgreement:
    """One measurement of N films by both."""

    measurement: Measurement
    values: np.ndarray  # (2, N)

    @property
    def agreed(self) -> Agreed:
        return agreed(*self.values)

    def classes(self) -> dict[str, float] | None:
        """Share of films of one class, and kappa; None where it has no classes."""
        if self.measurement.classes is None:
            return None
        first, second = (self.measurement.classes.index(values) for values in self.values)
        return {"agree_percent": 100.0 * agreement(first, second).accuracy, "kappa": kappa(first, second)}

    def to_dict(self) -> dict[str, Any]:
        known = {"code": self.measurement.code, "unit": self.measurement.unit, **self.agreed.to_dict()}
        return json_ready({**known, "classes": self.classes()})


@dataclass(frozen=True)
class Comparison:
    """Everything of one pair of readings."""

    pair: Paired
    landmarks: tuple[LandmarkAgreement, ...]
    measurements: tuple[MeasurementAgreement, ...]

    @property
    def mean_distance(self) -> float:
        """mm between both, over all landmarks that both have settled; NaN where no film has both mm."""
        distances = _distances(self.pair)
        return float(np.nanmean(distances)) if np.isfinite(distances).any() else np.nan

    @property
    def apart(self) -> str:
        """The mean distance in words."""
        known = np.isfinite(self.mean_distance)
        return f"{self.mean_distance:.2f} mm apart" if known else "none with both readers' millimetre"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return json_ready(
            {
                "first": self.pair.first,
                "second": self.pair.second,
                "films": list(self.pair.films),
                "mean_distance_mm": self.mean_distance,
                "landmarks": [one.to_dict() for one in self.landmarks],
                "measurements": [one.to_dict() for one in self.measurements],
            }
        )


def compare(pair: Paired, analyses: Sequence[Analysis]) -> Comparison:
    """Raises ValueError for an analysis that cannot be made of these landmarks, or names one that is none."""
    names = pair.landmark_set
    index = {name: k for k, name in enumerate(names.landmarks)} | {
        n: k for k, n in enumerate(names.abbreviations)
    }
    for analysis in analyses:
        analysis.require_known(shipped_names() | index.keys())
    first, second = pair.places_mm
    distances = _distances(pair)
    landmarks = tuple(
        LandmarkAgreement(
            name=name,
            x=agreed(first[:, k, 0], second[:, k, 0]),
            y=agreed(first[:, k, 1], second[:, k, 1]),
            distance=float(np.nanmean(distances[:, k])) if np.isfinite(distances[:, k]).any() else np.nan,
        )
        for k, name in enumerate(names.landmarks)
    )
    measured = tuple(one for analysis in analyses for one in _measured(pair, analysis, index))
    return Comparison(pair, landmarks, measured)


def _measured(pair: Paired, analysis: Analysis, index: dict[str, int]) -> list[MeasurementAgreement]:
    """Lengths only of films whose millimetre is known; angles and ratios need none."""
    both = [measure(analysis, points, index) for points in pair.measured]
    values = np.stack([one.values for one in both])  # (2, N, M)
    nominal = np.isnan(pair.spacing).any(-1)  # (2, N)
    return [
        MeasurementAgreement(one, np.where(nominal & (one.unit == "mm"), np.nan, values[:, :, m]))
        for m, one in enumerate(both[0].analysis.measurements)
    ]


def _distances(pair: Paired) -> np.ndarray:
    """(N, K) mm."""
    first, second = pair.places_mm
    return np.linalg.norm(second - first, axis=-1)

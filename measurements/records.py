"""Measurements of one image as plain data: what files, tables and pages show."""

import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from measurements.analysis import Measurement
from measurements.evaluate import Measured
from measurements.norm import Patient, choose
from measurements.uncertainty import INTERVAL95, sign_doubts, standard_deviations, variance_parts

COARSE = 0.7  # of the spread between patients: above, an SD no longer tells patients apart
_DRIVERS = 3  # landmarks named beside an interval
_CLEAR = 0.6  # chance from which on one class is named first
FLAGS = {
    "coarse": "the interval is too wide beside the spread of patients to tell them apart",
    "scale-unknown": "the millimetre at the patient is not known",
    "scale-unlikely": "by this spacing sella and nasion are less than 40 mm or more than 110 mm apart",
    "inferred-landmark": "the name of a landmark was inferred from its place, not taken from its authors",
    "norm-population": "the patient is not known to be of the norm's population, age and sex",
    "norm-unverified": "the norm's figures are from memory, not seen in a source",
}


@dataclass(frozen=True)
class Setting:
    """What is known beside the landmarks."""

    patient: Patient
    inferred: frozenset[str]  # landmarks whose names were inferred
    scale_known: (
        bool  # mm at the patient; otherwise lengths are nominal, or missing where there is no spacing
    )
    scale_error: float = 0.0  # relative standard deviation of the spacing
    scale_likely: bool = True  # by it, the head is as large as heads are


def inferred_names(landmark_set: str) -> frozenset[str]:
    """The landmarks of a set by name whose names were inferred from their place."""
    content = json.loads((Path(__file__).parent / "inferred.json").read_text(encoding="utf-8"))
    return frozenset(content.get(landmark_set, ()))


def measurement_records(
    measured: Measured,
    covariances: np.ndarray | None,
    names: Collection[str],
    setting: Setting,
    *,
    has_spacing: bool,
) -> list[dict[str, Any]]:
    """The M measurements of one image (N = 1), JSON-ready; None stands for what is unknown.

    covariances: (1, K, 2, 2) of its landmarks in the square of the unit of ``measured``'s points, None where
    nobody has said how sure they are. names: of the K landmarks. Without spacing, points are pixels: lengths
    are left out, angles and ratios are not.
    """
    count = len(measured.values[0])
    sd, doubts = np.full(count, np.nan), np.zeros(count)
    parts = np.full((count, len(names)), np.nan)
    if covariances is not None:
        sd = standard_deviations(measured, covariances, setting.scale_error)[0]
        doubts, parts = sign_doubts(measured, covariances)[0], variance_parts(measured, covariances)[0]
    rows = zip(measured.analysis.measurements, measured.values[0], sd, doubts, parts, strict=True)
    return [
        _record(measurement, value, error, doubt, _drivers(part, list(names)), setting)
        if has_spacing or measurement.unit != "mm"
        else _record(measurement, math.nan, math.nan, 0.0, [], setting)
        for measurement, value, error, doubt, part in rows
    ]


def _record(
    measurement: Measurement,
    value: float,
    sd: float,
    doubt: float,
    drivers: list[dict[str, Any]],
    setting: Setting,
) -> dict[str, Any]:
    known = math.isfinite(value) and math.isfinite(sd)
    norm = _norm(measurement, value, setting)
    return {
        "code": measurement.code,
        "name": measurement.name,
        "unit": measurement.unit,
        "value": _number(value),
        "sd": _number(sd),
        "interval95": [value - INTERVAL95 * sd, value + INTERVAL95 * sd] if known else None,
        "class": _class(measurement, value, sd, doubt) if known else None,
        "norm": norm,
        "sign": measurement.sign,
        "note": measurement.note,
        "landmarks": sorted(measurement.landmarks),
        "drivers": drivers,
        "flags": _flags(measurement, value, sd, norm, setting),
    }


def _flags(
    measurement: Measurement, value: float, sd: float, norm: dict[str, Any] | None, setting: Setting
) -> list[str]:
    found = {
        "coarse": measurement.spread is not None and sd > COARSE * measurement.spread,
        "scale-unknown": measurement.unit == "mm" and not setting.scale_known,
        "scale-unlikely": measurement.unit == "mm" and not setting.scale_likely,
        "inferred-landmark": bool(measurement.landmarks & setting.inferred),
        "norm-population": norm is not None and not norm["of_patient"],
        "norm-unverified": norm is not None and not norm["verified"],
    }
    assert found.keys() == FLAGS.keys()
    return [flag for flag, is_so in found.items() if is_so]


def _norm(measurement: Measurement, value: float, setting: Setting) -> dict[str, Any] | None:
    """The norm that fits the patient best; ``deviations`` only where it may be applied."""
    norm = choose(measurement.norms, setting.patient)
    if norm is None:
        return None
    mean = norm.at(setting.patient)
    applies = norm.applies(measurement.unit, scale_known=setting.scale_known and setting.scale_likely)
    deviations = (value - mean) / norm.sd if applies and norm.sd else math.nan
    return {
        **norm.to_dict(),
        "mean_for_age": mean,
        "deviations": _number(deviations),
        "of_patient": norm.is_of(setting.patient),
    }


def _class(measurement: Measurement, value: float, sd: float, doubt: float) -> dict[str, Any] | None:
    """The likeliest class, or the two between which it lies, and the chance of each."""
    classes = measurement.classes
    if classes is None or not sd > 0:
        return None
    chances = classes.probabilities(np.array(value), np.array(sd), doubt).tolist()
    first, second = sorted(range(len(chances)), key=lambda k: -chances[k])[:2]
    name = classes.names[first]
    text = f"{name}, {_percent(chances[first])}"
    if chances[first] < _CLEAR:
        other = classes.names[second]
        text = f"between {name} ({_percent(chances[first])}) and {other} ({_percent(chances[second])})"
    return {
        "name": name,
        "probability": chances[first],
        "text": text,
        "probabilities": dict(zip(classes.names, chances, strict=True)),
        "source": classes.source,
    }


def _drivers(parts: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """The landmarks that add most to the variance, with their shares of what landmarks add to it."""
    total = parts.sum()
    if not (np.isfinite(total) and total > 0):
        return []
    order = np.argsort(-parts, kind="stable")[:_DRIVERS]
    return [{"landmark": names[k], "share": float(parts[k] / total)} for k in order if parts[k] > 0]


def _percent(chance: float) -> str:
    """Never 100 %: nothing here is certain."""
    return "> 99 %" if chance > 0.99 else f"{100 * chance:.0f} %"


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

"""Evaluations of several models on the same images, compared pair by pair with the first."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from transforms.sample import MILLIMETRES
from util.evaluation.evaluation_file import evaluation_file
from util.evaluation.landmarks.metrics import OUTLIER_MM, TOLERANCE_MM, resamples
from util.evaluation.landmarks.unit_names import named_as_mm

_SAME_PX = 0.01  # two files whose true points differ by more do not show the same annotations
_KEYS = (
    *("checkpoint", "cases", "errors_mm", "spacing_mm", "points", "labels", "landmark_set", "calibration"),
    "mre_ci95_mm",
)


@dataclass(frozen=True)
class EvaluatedRun:
    """What test.py --json wrote about one checkpoint."""

    name: str
    file: Path
    checkpoint: Path
    cases: tuple[str, ...]
    truth: np.ndarray  # (N, K, 2) index coordinates of the prepared images; NaN where missing
    radial_mm: np.ndarray  # (N, K); NaN where missing
    spacing: np.ndarray  # (N, 2) ``unit`` a pixel of the prepared images along x and y
    landmarks: tuple[str, ...]
    labels: str
    mre_ci95_mm: tuple[float, float]
    calibration_error_percent: float
    unit: str = MILLIMETRES  # of the errors
    predicted: np.ndarray | None = None  # (N, K, 2) in the frame of ``truth``; None in files that lack them
    one_look: bool = True  # by one model at the whole image, as opposed to docs/test_time.md


def read_run(path: Path) -> EvaluatedRun:
    """``path``: a file of test.py --json, or a run folder or checkpoint with such a test.json beside it.

    Raises ValueError for anything else, with the command that makes it.
    """
    file = evaluation_file(path)
    try:
        record = named_as_mm(json.loads(file.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{file}: not valid JSON ({error}). Write it with test.py --json.") from error
    absent = [key for key in _KEYS if not isinstance(record, dict) or key not in record]
    if absent:
        raise ValueError(
            f"{file}: lacks {absent}, so not written by this test.py. Write it anew with --json."
        )
    if path != file and not path.is_dir() and Path(record["checkpoint"]).absolute() != path.absolute():
        raise ValueError(f"{file} is about {record['checkpoint']}, not {path}. Give the JSON file itself.")
    return _run(record, file)


def named_apart(runs: Sequence[EvaluatedRun]) -> list[EvaluatedRun]:
    """The runs; where two share a name, each is called by its file instead.

    Raises ValueError for a file that is given twice.
    """
    if len({evaluated.name for evaluated in runs}) == len(runs):
        return list(runs)
    files = [str(evaluated.file) for evaluated in runs]
    if len(set(files)) < len(files):
        raise ValueError(f"{files}: one file twice, expected each once.")
    return [replace(evaluated, name=str(evaluated.file)) for evaluated in runs]


def require_comparable(runs: Sequence[EvaluatedRun]) -> None:
    """Raise ValueError unless all runs were measured on the same images against the same annotations."""
    first = runs[0]
    for run in runs[1:]:
        where = f"{run.file} and {first.file}"
        if run.landmarks != first.landmarks:
            raise ValueError(
                f"{where}: {len(run.landmarks)} and {len(first.landmarks)} landmarks, expected the same "
                "ones in the same order. Compare models of one landmark set."
            )
        if run.unit != first.unit:
            raise ValueError(
                f"{where}: errors in {run.unit} and in {first.unit}, expected one unit. Evaluate both with "
                "the same test.py --data."
            )
        if run.labels != first.labels:
            raise ValueError(
                f"{where}: measured against {run.labels!r} and {first.labels!r} labels, expected the same. "
                "Evaluate both with the same test.py --data."
            )
        if run.cases != first.cases:
            differing = sorted(set(run.cases) ^ set(first.cases))
            raise ValueError(
                f"{where}: not the same images ({len(differing)} in only one, such as {differing[:3]}; order "
                "counts). Evaluate both with the same test.py --data and --subset."
            )
        if not np.allclose(run.truth, first.truth, rtol=0.0, atol=_SAME_PX, equal_nan=True):
            raise ValueError(
                f"{where}: the true points differ. Evaluate both with the same test.py --data: folders "
                "prepared at different sizes, or from different annotations, do not compare."
            )


@dataclass(frozen=True)
class Measure:
    """A mean over annotated landmarks, by which runs are compared."""

    name: str
    unit: str
    of: Callable[[np.ndarray], np.ndarray]  # (N, K) radial errors in mm -> (N, K) values whose mean it is

    def value(self, radial_mm: np.ndarray) -> float:
        return float(self.of(radial_mm)[~np.isnan(radial_mm)].mean())


MEASURES = (
    Measure("mre_mm", "mm", lambda radial: radial),
    Measure("sdr2_percent", "%", lambda radial: 100.0 * (radial <= 2.0 + TOLERANCE_MM)),
    Measure("over_4_percent", "%", lambda radial: 100.0 * (radial > 4.0 + TOLERANCE_MM)),
    Measure("over_10_percent", "%", lambda radial: 100.0 * (radial > OUTLIER_MM)),
)


def paired_difference(
    measure: Measure, radial_mm: np.ndarray, reference_mm: np.ndarray, seed: int = 0
) -> tuple[float, float, float]:
    """``measure`` of one run less that of a reference on the same images, and its 95 % interval.

    Percentile bootstrap over whole images, the same images for both (Efron & Tibshirani, 1993), so what makes
    an image hard for both does not widen the interval. All (N, K) mm, NaN where missing.
    """
    present = ~np.isnan(radial_mm)
    values = np.where(present, measure.of(radial_mm) - np.where(present, measure.of(reference_mm), 0.0), 0.0)
    draws = resamples(len(radial_mm), seed)  # (R, N)
    totals, counts = draws @ values.sum(1), draws @ present.sum(1)
    low, high = np.percentile(totals[counts > 0] / counts[counts > 0], (2.5, 97.5))
    return float(values.sum() / present.sum()), float(low), float(high)


def compare(runs: Sequence[EvaluatedRun]) -> list[dict[str, Any]]:
    """Everything about every run, JSON-ready; each difference is to the first run."""
    return [
        {
            "name": run.name,
            "file": str(run.file),
            "checkpoint": str(run.checkpoint),
            **{measure.name: measure.value(run.radial_mm) for measure in MEASURES},
            "unit": run.unit,
            "mre_ci95_mm": list(run.mre_ci95_mm),
            "calibration_error_percent": run.calibration_error_percent,
            "difference_to_first": {
                measure.name: _difference(measure, run.radial_mm, runs[0].radial_mm) for measure in MEASURES
            },
        }
        for run in runs
    ]


def _difference(measure: Measure, radial_mm: np.ndarray, reference_mm: np.ndarray) -> dict[str, Any]:
    mean, low, high = paired_difference(measure, radial_mm, reference_mm)
    return {"mean": mean, "ci95": [low, high]}


def _run(record: dict[str, Any], file: Path) -> EvaluatedRun:
    checkpoint = Path(record["checkpoint"])
    predicted = record["points"].get("predicted")
    one_look = record.get("test_time") is None
    return EvaluatedRun(
        name=checkpoint.absolute().parent.name if one_look else str(file),
        file=file,
        checkpoint=checkpoint,
        cases=tuple(record["cases"]),
        truth=np.array(record["points"]["truth"], np.float64),
        radial_mm=np.array(record["errors_mm"], np.float64),
        spacing=np.array(record["spacing_mm"], np.float64),
        landmarks=tuple(record["landmark_set"]["landmarks"]),
        labels=record["labels"],
        mre_ci95_mm=tuple(record["mre_ci95_mm"]),
        calibration_error_percent=record["calibration"]["error_percent"],
        unit=record.get("unit", MILLIMETRES),
        predicted=None if predicted is None else np.array(predicted, np.float64),
        one_look=one_look,
    )

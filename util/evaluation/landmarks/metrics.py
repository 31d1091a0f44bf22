"""Radial errors, and every number of every table that follows from them.

Lengths are in the unit of the data: mm, or percent of a length that the images show
(``datasets.landmarks.unit``). Names that end in ``_mm`` are from when there was no other; what leaves for a
file is named after its unit (``unit_names``).

MRE is the mean radial error, SDR the successful detection rate (Wang et al., 2016, ISBI 2015 challenge):
the share of annotated landmarks found within a distance. Missing landmarks count nowhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from datasets.landmarks.batch import PointBatch
from models.landmarks.prediction import Prediction, uncertainty_mm
from transforms.sample import MILLIMETRES
from util.evaluation.landmarks.unit_names import named_by_unit

THRESHOLDS_MM = (2.0, 2.5, 3.0, 4.0)
THRESHOLDS_PERCENT = (0.5, 1.0, 2.0, 4.0)
OUTLIER_MM = 10.0
TOLERANCE_MM = 1e-9  # an error of exactly 2.0 mm is within 2 mm whatever the last bit of the arithmetic says
_RESAMPLES = 1000
_PER_LANDMARKS = ("predicted", "truth", "spacing", "uncertainty_mm")  # arrays of Errors, by image
_HEADLINE = ("mre_mm", "mre_std_mm", "median_mm", "sdr_percent", "outlier_percent", "num_images", "unit")


@dataclass(frozen=True)
class Errors:
    """Predictions beside the truth for N images of K landmarks: numbers only, no pixels.

    Raises ValueError where an error in mm cannot be formed: unknown spacing, or a prediction that is not
    finite (it would otherwise pass for a missing landmark).
    """

    cases: tuple[str, ...]
    predicted: np.ndarray  # (N, K, 2) float64, source pixels
    truth: np.ndarray  # (N, K, 2) float64, source pixels; NaN where missing
    spacing: np.ndarray  # (N, 2) float64, mm per source pixel along x and y
    uncertainty_mm: np.ndarray  # (N, K) float64, predicted root-mean-square radial error
    unit: str = MILLIMETRES  # of all lengths, and of ``spacing`` a source pixel

    def __post_init__(self) -> None:
        for case, spacing, predicted in zip(self.cases, self.spacing, self.predicted, strict=True):
            if not (np.isfinite(spacing) & (spacing > 0)).all():
                raise ValueError(f"case {case}: {self._without(spacing)}")
            if not np.isfinite(predicted).all():
                wrong = np.flatnonzero(~np.isfinite(predicted).all(-1)) + 1
                raise ValueError(
                    f"case {case}: prediction of landmark {wrong.tolist()} is not finite, expected pixels. "
                    "The weights have diverged: use an earlier checkpoint."
                )

    def _without(self, spacing: np.ndarray) -> str:
        """What an image of this ``spacing`` lacks, and what to do."""
        if self.unit != MILLIMETRES:
            return (
                f"does not show the length of {self.unit!r}, so it has no errors. Annotate both of its "
                "landmarks, or choose another unit when preparing the data."
            )
        return (
            f"spacing {spacing.tolist()} mm per pixel, expected two positive numbers. Errors in mm need the "
            "spacing: give it when preparing the data, or --unit."
        )

    def only(self, kept: Sequence[bool]) -> "Errors":
        """The images where ``kept`` (N,) is true."""
        cases = tuple(case for case, keep in zip(self.cases, kept, strict=True) if keep)
        arrays = {name: getattr(self, name)[np.array(kept)] for name in _PER_LANDMARKS}
        return Errors(cases=cases, unit=self.unit, **arrays)

    @property
    def truth_mm(self) -> np.ndarray:
        """(N, K, 2) true places in mm from the upper left corner; NaN where missing."""
        return self.truth * self.spacing[:, None]

    @property
    def vectors_mm(self) -> np.ndarray:
        """(N, K, 2) prediction less truth in mm, right and down; NaN where the landmark is missing."""
        return (self.predicted - self.truth) * self.spacing[:, None]

    @property
    def radial_mm(self) -> np.ndarray:
        """(N, K) distance between prediction and truth in mm; NaN where the landmark is missing."""
        return np.linalg.norm(self.vectors_mm, axis=-1)


def concatenate(parts: Sequence[Errors]) -> Errors:
    """All images of ``parts``, in order. Raises ValueError when there is none."""
    if not parts:
        raise ValueError("no image was evaluated, expected at least one. Check the subset's name and folder.")
    units = {part.unit for part in parts}
    if len(units) != 1:
        raise ValueError(
            f"errors in {sorted(units)}, expected one unit. Evaluate folders of one unit together."
        )
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _PER_LANDMARKS}
    return Errors(cases=tuple(case for part in parts for case in part.cases), unit=units.pop(), **arrays)


class LandmarkEvaluator:
    """Collects errors batch by batch; what it keeps is a few numbers per landmark."""

    def __init__(self) -> None:
        self._parts: list[Errors] = []

    def update(self, outputs: Any, batch: PointBatch) -> None:
        """Add what a model gave on a batch: its final prediction."""
        self.add(outputs.final, batch)

    def add(self, prediction: Prediction, batch: PointBatch) -> None:
        """Add a prediction. It and ``batch`` lie on one device; (B, K, 2) normalised points."""
        uncertainty = uncertainty_mm(prediction, batch.mm_per_unit)
        self._parts.append(
            Errors(
                cases=batch.cases,
                predicted=batch.to_source_pixels(prediction.points).detach().cpu().numpy(),
                truth=batch.to_source_pixels(batch.points).cpu().numpy(),
                spacing=batch.spacing.cpu().numpy(),
                uncertainty_mm=uncertainty.detach().double().cpu().numpy(),
                unit=batch.unit,
            )
        )

    def results(self) -> Errors:
        return concatenate(self._parts)


@dataclass(frozen=True)
class Statistics:
    """What a set of radial errors comes to; NaN throughout where no landmark of the set is annotated."""

    count: int  # annotated landmarks
    mre_mm: float
    mre_std_mm: float  # over landmarks, not over images; population form
    median_mm: float
    sdr_percent: dict[str, float]  # by threshold in mm: "2.0", "2.5", ...; error <= threshold
    outlier_percent: float  # errors over OUTLIER_MM
    mre_ci95_mm: tuple[float, float]  # bootstrap over images
    sdr_ci95_percent: dict[str, tuple[float, float]]  # bootstrap over images, by threshold

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: NaN becomes None."""
        return {field.name: json_ready(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True)
class Summary(Statistics):
    """Statistics over all landmarks of all images, and per landmark."""

    num_images: int
    num_landmarks: int
    per_landmark: tuple[Statistics, ...]  # (K,)
    unit: str = MILLIMETRES


def headline(summary: "Summary") -> dict[str, Any]:
    """The numbers that a checkpoint and a log keep of an evaluation: none per landmark. JSON-ready."""
    numbers = summary.to_dict()
    return named_by_unit({name: numbers[name] for name in _HEADLINE}, summary.unit)


def summarise(errors: Errors, thresholds: Sequence[float] | None = None, seed: int = 0) -> Summary:
    """Every number of the evaluation table; ``thresholds`` in the unit (its usual ones), ``seed`` of the
    bootstrap.

    Raises ValueError when not a single landmark is annotated.
    """
    radial = errors.radial_mm  # (N, K)
    thresholds = usual_thresholds(errors.unit) if thresholds is None else thresholds
    num_images, num_landmarks = radial.shape
    if np.isnan(radial).all():
        raise ValueError(
            f"{num_images} images without one annotated landmark, expected some. Check the annotations."
        )
    draws = resamples(num_images, seed)
    return Summary(
        **vars(_statistics(radial, draws, thresholds)),
        num_images=num_images,
        num_landmarks=num_landmarks,
        per_landmark=tuple(_statistics(radial[:, [k]], draws, thresholds) for k in range(num_landmarks)),
        unit=errors.unit,
    )


def usual_thresholds(unit: str) -> tuple[float, ...]:
    """Distances within which a landmark counts as detected; those of the challenges in mm."""
    return THRESHOLDS_MM if unit == MILLIMETRES else THRESHOLDS_PERCENT


def json_ready(value: Any) -> Any:
    """Arrays, tuples and dataclasses with ``to_dict`` as plain JSON values; NaN and infinities as None."""
    if isinstance(value, np.ndarray):
        return json_ready(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    return value.to_dict() if isinstance(value, Statistics) else value


def _statistics(radial: np.ndarray, draws: np.ndarray, thresholds: Sequence[float]) -> Statistics:
    """``radial``: (N, any) mm, NaN where missing; ``draws``: (R, N) counts of each image in each resample."""
    present = ~np.isnan(radial)
    values = radial[present]
    hits = {str(float(limit)): radial <= limit + TOLERANCE_MM for limit in thresholds}  # NaN compares false
    return Statistics(
        count=values.size,
        mre_mm=_mean(values),
        mre_std_mm=float(values.std()) if values.size else math.nan,
        median_mm=float(np.median(values)) if values.size else math.nan,
        sdr_percent={key: 100.0 * _mean(hit[present]) for key, hit in hits.items()},
        outlier_percent=100.0 * _mean(values > OUTLIER_MM),
        mre_ci95_mm=_interval(np.nan_to_num(radial), present, draws),
        sdr_ci95_percent={key: _interval(100.0 * hit, present, draws) for key, hit in hits.items()},
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan


def resamples(num_images: int, seed: int) -> np.ndarray:
    """(R, N) counts of N images drawn with replacement, R times."""
    chances = np.full(num_images, 1.0 / num_images)
    return np.random.default_rng(seed).multinomial(num_images, chances, size=_RESAMPLES).astype(np.float64)


def _interval(values: np.ndarray, present: np.ndarray, draws: np.ndarray) -> tuple[float, float]:
    """Percentile bootstrap of the mean of ``values`` (N, any) where ``present``, over whole images.

    Whole images are drawn, since the errors within one image are not independent (Efron & Tibshirani, 1993).
    """
    totals, counts = draws @ values.sum(1), draws @ present.sum(1)  # (R,), (R,)
    if not (counts > 0).any():
        return math.nan, math.nan
    low, high = np.percentile(totals[counts > 0] / counts[counts > 0], (2.5, 97.5))
    return float(low), float(high)

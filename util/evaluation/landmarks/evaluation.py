"""One evaluation of one checkpoint, or of several together: its numbers as JSON and as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.prepared import INDEX_TO_CONTINUOUS
from transforms.geometry import square_side
from util.evaluation.landmarks.calibration import GROSS_MM, Reliability, coverage_percent, reliability
from util.evaluation.landmarks.metrics import OUTLIER_MM, Errors, Statistics, Summary, json_ready, summarise
from util.evaluation.landmarks.systematic import Systematic, systematic
from util.evaluation.landmarks.unit_names import named_by_unit, short
from util.prediction.landmarks.looks import Looks
from util.reporting.text_table import aligned
from util.reporting.visualise import overlay

_NAMED = 10  # cases in a line


@dataclass(frozen=True)
class LandmarkEvaluation:
    """The errors of a checkpoint on one subset of prepared data, and what they were measured against."""

    errors: Errors
    summary: Summary
    landmark_set: LandmarkSet
    labels: str  # whose landmarks count as the truth, as the prepared data states it
    checkpoint: Path  # the first, of several
    folder: Path
    subset: str
    looks: Looks | None = None  # what was evaluated, where it may be more than ``checkpoint`` alone
    repeated: tuple[str, ...] = ()  # cases whose X-ray train or val has too
    taught: tuple[str, ...] = ()  # cases that the model's protocol was fitted on
    trained_on: str = ""  # whose annotations the model learnt from, or the models
    landmark_shapes: Mapping[str, Any] | None = None  # that it carries, or the first of several models

    @cached_property
    def reliability(self) -> Reliability:
        """How far the predicted uncertainty can be believed."""
        return reliability(self.errors.radial_mm, self.errors.uncertainty_mm)

    @cached_property
    def unrepeated(self) -> Summary | None:
        """Without the ``repeated`` cases, which are no test of unseen X-rays; None where there are none of
        them, or where nothing annotated is left.
        """
        return self._without(self.repeated)

    @cached_property
    def untaught(self) -> Summary | None:
        """Likewise without the cases that have ``taught`` the model whom it follows."""
        return self._without(self.taught)

    def _without(self, cases: tuple[str, ...]) -> Summary | None:
        others = [case not in cases for case in self.errors.cases]
        if all(others) or not np.isfinite(self.errors.radial_mm[others]).any():
            return None
        return summarise(self.errors.only(others))

    @cached_property
    def systematic(self) -> Systematic:
        """The errors told apart into an offset a landmark and the rest."""
        return systematic(self.errors)

    @property
    def coverage_without_offsets(self) -> dict[str, float]:
        """What the radii of the predicted uncertainty hold of the errors without each landmark's offset,
        which no model can know of; empty where no landmark is annotated twice.
        """
        return coverage_percent(self.systematic.radial_mm, self.errors.uncertainty_mm)

    def text(self) -> str:
        """The table, and what it comes to in a few sentences."""
        summary = self.summary
        narrow = short(summary.unit)
        rates = ", ".join(f"{rate:.2f} % within {key} {narrow}" for key, rate in summary.sdr_percent.items())
        lines = [
            text_table(self),
            f"\n{summary.num_images} images of {self.folder}, subset {self.subset}",
            f"measured against {self.labels!r} labels; trained on {self.trained_on!r} labels",
            *([f"test-time options: {self.looks}"] if self.looks and not self.looks.plain else []),
            f"MRE {summary.mre_mm:.3f} {summary.unit}; {rates}",
            *([_repeated_line(self)] if self.repeated else []),
            *([_taught_line(self)] if self.taught else []),
            _offset_line(self),
            _uncertainty_line(self),
        ]
        return "\n".join(lines)

    def overlay(self, index: int, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB: truth red, prediction green, its uncertainty as a circle."""
        errors = self.errors
        radius = errors.uncertainty_mm[index] / square_side(errors.spacing[index])  # (K,) pixels
        return overlay(image, errors.predicted[index], truth=errors.truth[index], radius=radius)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready. Points in index coordinates of the prepared images; null where missing.

        ``unit`` says what lengths are in; where it is not mm, keys end in ``_percent_of_length``.
        """
        return named_by_unit(self._content(), self.errors.unit)

    def _content(self) -> dict[str, Any]:
        points = {"predicted": self.errors.predicted, "truth": self.errors.truth}
        return {
            **self.summary.to_dict(),
            "systematic": {
                **self.systematic.to_dict(),
                "coverage_without_percent": self.coverage_without_offsets,
            },
            "calibration": self.reliability.to_dict(),
            "repeated": list(self.repeated),
            "unrepeated": self.unrepeated and self.unrepeated.to_dict(),
            "taught": list(self.taught),
            "untaught": self.untaught and self.untaught.to_dict(),
            "checkpoint": str(self.checkpoint),
            "test_time": self.looks and self.looks.to_dict(),
            "data": str(self.folder),
            "subset": self.subset,
            "labels": self.labels,
            "landmark_set": self.landmark_set.to_dict(),
            **({} if self.landmark_shapes is None else {"landmark_shapes": dict(self.landmark_shapes)}),
            "cases": list(self.errors.cases),
            "spacing_mm": json_ready(self.errors.spacing),
            "errors_mm": json_ready(self.errors.radial_mm),
            "uncertainty_mm": json_ready(self.errors.uncertainty_mm),
            "points": {name: json_ready(values - INDEX_TO_CONTINUOUS) for name, values in points.items()},
        }


def table_header(evaluation: LandmarkEvaluation) -> list[str]:
    """Column titles that go with ``table_rows``."""
    rates = [f"SDR {key}" for key in evaluation.summary.sdr_percent]
    over = f"> {OUTLIER_MM:g} {short(evaluation.summary.unit)}"
    return ["landmark", "n", "MRE", "95 %", "SD", "median", *rates, "SDR 2.0 95 %", over, "offset"]


def table_rows(evaluation: LandmarkEvaluation) -> list[list[str]]:
    """All landmarks together, then each: lengths in the unit, shares in percent, "-" where none is annotated.

    The offset is the mean error to the right and down; for all together what the MRE would be without it.
    """
    summary, found = evaluation.summary, evaluation.systematic
    names = [f"{index} {name}" for index, name in enumerate(evaluation.landmark_set.landmarks, start=1)]
    offsets = ["{:+.2f}, {:+.2f}".format(*offset) for offset in found.offset_mm]
    groups = zip(
        ["all", *names],
        [summary, *summary.per_landmark],
        [f"without: {found.mre_mm:.3f}", *offsets],
        strict=True,
    )
    return [[name, *_cells(group), offset if group.count else "-"] for name, group, offset in groups]


def text_table(evaluation: LandmarkEvaluation) -> str:
    """The table for a terminal."""
    return aligned([table_header(evaluation), *table_rows(evaluation)], rules=(1, 2))


def _cells(group: Statistics) -> list[str]:
    if not group.count:
        return ["0", *["-"] * (len(group.sdr_percent) + 6)]
    return [
        str(group.count),
        f"{group.mre_mm:.3f}",
        "{:.3f} to {:.3f}".format(*group.mre_ci95_mm),
        f"{group.mre_std_mm:.3f}",
        f"{group.median_mm:.3f}",
        *(f"{rate:.1f}" for rate in group.sdr_percent.values()),
        "{:.1f} to {:.1f}".format(*group.sdr_ci95_percent["2.0"]),
        f"{group.outlier_percent:.1f}",
    ]


def _repeated_line(evaluation: LandmarkEvaluation) -> str:
    """What the images come to that neither train nor val has under another name, in one line."""
    start = f"{len(evaluation.repeated)} of these X-rays are in train or val too"
    return _others_line(start, evaluation.unrepeated)


def _taught_line(evaluation: LandmarkEvaluation) -> str:
    """Which images the protocol was fitted on, and what the others come to, in one line."""
    first = ", ".join(evaluation.taught[:_NAMED]) + (", ..." if evaluation.taught[_NAMED:] else "")
    start = f"{len(evaluation.taught)} of these X-rays taught the model its protocol ({first})"
    return _others_line(start, evaluation.untaught)


def _others_line(start: str, others: Summary | None) -> str:
    if others is None:
        return f"{start}: nothing is left that was not seen before"
    interval = "{:.3f} to {:.3f}".format(*others.mre_ci95_mm)
    rate = f"{others.sdr_percent['2.0']:.2f} % within 2 {short(others.unit)}"
    return f"{start}; without them: MRE {others.mre_mm:.3f} {others.unit} ({interval}), {rate}"


def _offset_line(evaluation: LandmarkEvaluation) -> str:
    """How much of the error is the same in every image, in one line."""
    found, names = evaluation.systematic, evaluation.landmark_set.landmarks
    largest = ", ".join(
        "{} ({:+.2f}, {:+.2f})".format(names[k], *found.offset_mm[k]) for k in found.largest(3)
    )
    unit = short(evaluation.summary.unit)
    without = f"offsets: MRE {found.mre_mm:.3f} {unit} without each landmark's mean error"
    return f"{without}; largest, in {unit}: {largest}"


def _uncertainty_line(evaluation: LandmarkEvaluation) -> str:
    """How far the predicted uncertainty can be believed, in one line."""
    found, without = evaluation.reliability, evaluation.coverage_without_offsets
    held = ", ".join(
        f"{share} % radius holds {percent:.1f} %"
        + (f" ({without[share]:.1f} without the offsets)" if without else "")
        for share, percent in found.coverage_percent.items()
    )
    over = f"over {GROSS_MM:g} {short(evaluation.summary.unit)}"
    gross = f"no error {over}"
    if found.flagged_percent is not None:
        gross = f"the 5 % most uncertain hold {found.flagged_percent:.0f} % of the errors {over}"
    return f"uncertainty: {held} of the errors; {gross}; calibration error {found.error_percent:.1f} %"

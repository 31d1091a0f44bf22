"""Readings beside each other as one HTML file: tables and Bland-Altman pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from measurements.reader_agreement import Agreed
from measurements.table import UNIT_SIGNS
from util.evaluation.landmarks.reader_comparison import Comparison, MeasurementAgreement
from util.reporting.figures import png
from util.reporting.frame import figure, heading, note, table, write_page

LANDMARK_TITLES = (
    "landmark",
    "n",
    "distance",
    "bias x",
    "SD x",
    "bias y",
    "SD y",
    "Dahlberg x",
    "Dahlberg y",
)
MEASUREMENT_TITLES = (
    "measurement",
    "n",
    "bias",
    "SD",
    "95 % limits",
    "Dahlberg",
    "ICC(2,1)",
    "class",
    "kappa",
)
_BLUE, _GREY = "#2b6cb0", "#8a8f98"


def write_reader_report(file: Path, comparisons: Sequence[Comparison]) -> None:
    """Atomically, a section a pair of readings."""
    write_page(file, "Readers", [part for one in comparisons for part in _sections(one)])


def _sections(comparison: Comparison) -> Iterator[str]:
    pair = comparison.pair
    yield heading(f"{pair.first} and {pair.second}")
    yield note(
        f"{len(pair.films)} films; {comparison.apart}. Bias: second less "
        "first. Dahlberg's error is that of one reading and holds the bias. ICC: two-way random effects, "
        "absolute agreement."
    )
    if comparison.measurements:
        yield table(MEASUREMENT_TITLES, map(measurement_cells, comparison.measurements))
    yield table(LANDMARK_TITLES, landmark_rows(comparison))
    for one in comparison.measurements:
        if one.agreed.count > 1:
            unit = UNIT_SIGNS[one.measurement.unit].strip() or "ratio"
            caption = (
                f"{one.measurement.code}: difference ({unit}) over the mean of both; bias and 95 % limits."
            )
            yield figure(png(bland_altman(one)), caption)


def bland_altman(one: MeasurementAgreement) -> Figure:
    """Differences of two readings over their means, with the bias and the 95 % limits of agreement."""
    drawn = Figure(figsize=(6, 3.6), layout="constrained")
    axes = drawn.add_subplot()
    first, second = one.values
    agreed = one.agreed
    axes.plot((first + second) / 2, second - first, "o", color=_BLUE, alpha=0.7)
    for level, style in ((agreed.bias, "-"), (agreed.low, "--"), (agreed.high, "--")):
        axes.axhline(level, color=_GREY, linestyle=style)
    axes.axhline(0.0, color="#d5dbe1", linewidth=1, zorder=0)
    axes.set(xlabel=f"{one.measurement.code}, mean of both", ylabel="second less first")
    return drawn


def landmark_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    for one in comparison.landmarks:
        numbers = (one.x.bias, one.x.sd, one.y.bias, one.y.sd, one.x.dahlberg, one.y.dahlberg)
        yield (one.name, str(one.x.count), _mm(one.distance), *map(_mm, numbers))


def measurement_cells(one: MeasurementAgreement) -> tuple[str, ...]:
    agreed, classes = one.agreed, one.classes()
    digits = 3 if one.measurement.unit == "ratio" else 2
    limits = f"{_number(agreed.low, digits)} to {_number(agreed.high, digits)}"
    same = (
        ("-", "-") if classes is None else (_percent(classes["agree_percent"]), _number(classes["kappa"], 2))
    )
    return (one.measurement.code, str(agreed.count), *_plain(agreed, digits, limits), *same)


def _plain(agreed: Agreed, digits: int, limits: str) -> tuple[str, ...]:
    bias, sd, dahlberg = (_number(value, digits) for value in (agreed.bias, agreed.sd, agreed.dahlberg))
    return bias, sd, limits, dahlberg, _number(agreed.icc, 3)


def _mm(value: float) -> str:
    return _number(value, 2)


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.0f} %"


def _number(value: float, digits: int) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}"

"""The figures of evaluations and comparisons. Each takes numbers and returns a figure; no global state."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import FuncFormatter, NullFormatter

from transforms.sample import MILLIMETRES
from util.evaluation.landmarks.calibration import Reliability
from util.evaluation.landmarks.metrics import OUTLIER_MM, usual_thresholds
from util.evaluation.landmarks.unit_names import short

MAGNIFIED = 3  # errors beside the distances between landmarks, in ``error_ellipses``

_BLUE, _GREY, _RED = "#2b6cb0", "#8a8f98", "#c53030"
_FLOOR_MM = 0.05  # a logarithmic axis needs one; smaller errors are drawn here
_TICKS_MM = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def box_plot(radial_mm: np.ndarray, names: list[str], unit: str = MILLIMETRES) -> Figure:
    """Errors (N, K) per landmark: median, quartiles, whiskers at the 5th and 95th percentile, dots."""
    figure = Figure(figsize=(9, 1.4 + 0.26 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    columns = [np.maximum(column[~np.isnan(column)], _FLOOR_MM) for column in radial_mm.T]
    axes.boxplot(
        columns,
        orientation="horizontal",
        tick_labels=[f"{name} (n={len(column)})" for name, column in zip(names, columns, strict=True)],
        whis=(5, 95),
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": "#cfe0f3", "edgecolor": _BLUE},
        medianprops={"color": _BLUE, "linewidth": 2},
        whiskerprops={"color": _BLUE},
        capprops={"color": _BLUE},
        flierprops={"marker": ".", "markersize": 4, "markeredgecolor": _GREY},
    )
    axes.invert_yaxis()
    axes.axvline(2.0, color=_RED, linestyle="--", linewidth=1)
    _log_mm(axes.xaxis, np.concatenate(columns))
    axes.set_xlabel(f"radial error, {unit} (dashed: 2 {short(unit)})")
    axes.grid(axis="x", color="#e5e7eb")
    axes.set_axisbelow(True)
    return figure


def error_ellipses(
    vectors_mm: np.ndarray, truth_mm: np.ndarray, names: Sequence[str], unit: str = MILLIMETRES
) -> Figure:
    """Which way errors (N, K, 2) point, drawn at each landmark's mean true place and ``MAGNIFIED``.

    A line leads to the mean error; about its end the ellipse of one standard deviation, which takes three
    errors. x to the right and y down; truth (N, K, 2) in mm, NaN where missing.
    """
    figure = Figure(figsize=(9, 9), layout="constrained")
    axes = figure.add_subplot()
    for vectors, truth, name in zip(vectors_mm.swapaxes(0, 1), truth_mm.swapaxes(0, 1), names, strict=True):
        known = ~np.isnan(vectors).any(-1)
        if not known.any():
            continue
        place, errors = truth[known].mean(0), MAGNIFIED * vectors[known]
        centre = place + errors.mean(0)
        if len(errors) >= 3:
            variances, axis = np.linalg.eigh(np.cov(errors.T))  # smaller first; directions are columns
            across, along = 2.0 * np.sqrt(variances.clip(min=0.0))
            angle = np.degrees(np.arctan2(axis[1, 1], axis[0, 1]))
            axes.add_patch(Ellipse(tuple(centre), along, across, angle=angle, color=_BLUE, alpha=0.25, lw=0))
        axes.plot(*np.stack([place, centre]).T, color=_BLUE, linewidth=1.5)
        axes.plot(*place, "o", color=_RED, markersize=3)
        axes.annotate(name, tuple(place), xytext=(3, 3), textcoords="offset points", fontsize=8)
    axes.margins(0.08)
    axes.set(aspect="equal", xlabel=f"{unit} to the right", ylabel=f"{short(unit)} down")
    axes.invert_yaxis()
    axes.grid(color="#e5e7eb")
    axes.set_axisbelow(True)
    return figure


def cumulative_curve(radial_mm: np.ndarray, unit: str = MILLIMETRES) -> Figure:
    """Share of annotated landmarks within each distance, up to OUTLIER_MM."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    _draw_cumulative(axes, radial_mm, color=_BLUE)
    _cumulative_axes(axes, unit)
    return figure


def comparison_picture(
    errors: Mapping[str, np.ndarray],
    latency_ms: Mapping[str, float] | None = None,
    unit: str = MILLIMETRES,
) -> Figure:
    """Cumulative errors (N, K) of every run, and beside them, where known, MRE against latency."""
    panels = 1 if latency_ms is None else 2
    figure = Figure(figsize=(7 * panels, 4.6), layout="constrained")
    colours = {name: f"C{index % 10}" for index, name in enumerate(errors)}
    cumulative = figure.add_subplot(1, panels, panels)
    for name, radial in errors.items():
        _draw_cumulative(cumulative, radial, color=colours[name], label=name)
    _cumulative_axes(cumulative, unit)
    cumulative.legend(loc="lower right")
    if latency_ms is not None:
        axes = figure.add_subplot(1, panels, 1)
        for name, radial in errors.items():
            place = (latency_ms[name], float(np.nanmean(radial)))
            axes.plot(*place, "o", color=colours[name])
            axes.annotate(name, place, xytext=(6, 4), textcoords="offset points", fontsize=9)
        axes.margins(0.2)
        axes.set_xlim(0, 1.3 * max(latency_ms.values()))  # room for the names
        axes.set(xlabel="one image, ms", ylabel=f"mean radial error, {unit}")
        axes.grid(color="#e5e7eb")
    return figure


def reliability_curve(
    radial_mm: np.ndarray, uncertainty_mm: np.ndarray, groups: Reliability, unit: str = MILLIMETRES
) -> Figure:
    """Predicted uncertainty against observed error: each landmark (N, K) as a dot, and the groups as a curve.

    On the diagonal the model is calibrated; above it, surer than it should be.
    """
    figure = Figure(figsize=(5.6, 5), layout="constrained")
    axes = figure.add_subplot()
    present = ~np.isnan(radial_mm)
    predicted, observed = uncertainty_mm[present], radial_mm[present]
    centre, height = groups.expected_mm, groups.observed_mm
    axes.scatter(
        np.maximum(predicted, _FLOOR_MM),
        np.maximum(observed, _FLOOR_MM),
        s=4,
        color=_GREY,
        alpha=0.3,
        linewidths=0,
    )
    axes.plot(np.maximum(centre, _FLOOR_MM), np.maximum(height, _FLOOR_MM), "o-", color=_BLUE)
    everything = np.concatenate([predicted, observed])
    for axis in (axes.xaxis, axes.yaxis):
        _log_mm(axis, everything)
    low_high = axes.get_xlim()
    axes.plot(low_high, low_high, color=_RED, linestyle="--", linewidth=1)
    axes.set(xlim=low_high, ylim=low_high, aspect="equal")
    axes.set(xlabel=f"predicted uncertainty, {unit}", ylabel=f"observed radial error, {unit}")
    axes.grid(color="#e5e7eb")
    return figure


def _draw_cumulative(axes: Axes, radial_mm: np.ndarray, *, color: str, label: str | None = None) -> None:
    values = np.sort(radial_mm[~np.isnan(radial_mm)])
    share = 100.0 * np.arange(1, len(values) + 1) / len(values)
    axes.step(
        np.concatenate([[0.0], values]),
        np.concatenate([[0.0], share]),
        where="post",
        color=color,
        label=label,
    )


def _cumulative_axes(axes: Axes, unit: str) -> None:
    for limit in usual_thresholds(unit):
        axes.axvline(limit, color=_GREY, linestyle=":", linewidth=1)
    axes.set(
        xlim=(0, OUTLIER_MM), ylim=(0, 101), xlabel=f"radial error, {unit}", ylabel="landmarks within, %"
    )
    axes.grid(color="#e5e7eb")


def _log_mm(axis, values: np.ndarray) -> None:
    """A logarithmic millimetre axis about ``values`` with plain numbers on it."""
    low, high = np.maximum([values.min(), values.max()], _FLOOR_MM)
    name = axis.axis_name
    axis.axes.set(**{f"{name}scale": "log"})
    axis.axes.set(**{f"{name}lim": (min(low, 1.0) / 1.15, max(high, 4.0) * 1.15)})
    axis.set_ticks([tick for tick in _TICKS_MM if min(low, 1.0) / 1.15 <= tick <= max(high, 4.0) * 1.15])
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())

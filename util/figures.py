"""The figures of an evaluation report. Each takes numbers and returns a figure; no global state."""

import io

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from util.metrics import OUTLIER_MM, THRESHOLDS_MM

_BLUE, _GREY, _RED = "#2b6cb0", "#8a8f98", "#c53030"
_FLOOR_MM = 0.05  # a logarithmic axis needs one; smaller errors are drawn here
_TICKS_MM = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_MAX_BINS = 10


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def box_plot(radial_mm: np.ndarray, names: list[str]) -> Figure:
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
    axes.set_xlabel("radial error, mm (dashed: 2 mm)")
    axes.grid(axis="x", color="#e5e7eb")
    axes.set_axisbelow(True)
    return figure


def cumulative_curve(radial_mm: np.ndarray) -> Figure:
    """Share of annotated landmarks within each distance, up to OUTLIER_MM."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    values = np.sort(radial_mm[~np.isnan(radial_mm)])
    share = 100.0 * np.arange(1, len(values) + 1) / len(values)
    axes.step(np.concatenate([[0.0], values]), np.concatenate([[0.0], share]), where="post", color=_BLUE)
    for limit in THRESHOLDS_MM:
        axes.axvline(limit, color=_GREY, linestyle=":", linewidth=1)
    axes.set(xlim=(0, OUTLIER_MM), ylim=(0, 101), xlabel="radial error, mm", ylabel="landmarks within, %")
    axes.grid(color="#e5e7eb")
    return figure


def reliability(radial_mm: np.ndarray, uncertainty_mm: np.ndarray) -> Figure:
    """Predicted uncertainty against observed error: (N, K) each, in up to ten groups of equal size.

    Both axes are root-mean-square radial errors, so a calibrated model lies on the diagonal; above it, the
    model is surer than it should be.
    """
    figure = Figure(figsize=(5.6, 5), layout="constrained")
    axes = figure.add_subplot()
    present = ~np.isnan(radial_mm)
    predicted, observed = uncertainty_mm[present], radial_mm[present]
    groups = np.array_split(np.argsort(predicted), min(_MAX_BINS, len(predicted)))
    centre = [_rms(predicted[group]) for group in groups]
    height = [_rms(observed[group]) for group in groups]
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
    axes.set(xlabel="predicted uncertainty, mm", ylabel="observed radial error, mm")
    axes.grid(color="#e5e7eb")
    return figure


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _log_mm(axis, values: np.ndarray) -> None:
    """A logarithmic millimetre axis about ``values`` with plain numbers on it."""
    low, high = np.maximum([values.min(), values.max()], _FLOOR_MM)
    name = axis.axis_name
    axis.axes.set(**{f"{name}scale": "log"})
    axis.axes.set(**{f"{name}lim": (min(low, 1.0) / 1.15, max(high, 4.0) * 1.15)})
    axis.set_ticks([tick for tick in _TICKS_MM if min(low, 1.0) / 1.15 <= tick <= max(high, 4.0) * 1.15])
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())

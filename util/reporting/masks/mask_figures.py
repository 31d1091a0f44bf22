"""The figures of an evaluation of masks. Each takes numbers and returns a figure; no global state."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from util.evaluation.masks.edge_calibration import NUM_BINS, EdgeCalibration

_BLUE, _RED, _GRID = "#2b6cb0", "#c53030", "#e5e7eb"


def spread_by_class(values: np.ndarray, names: Sequence[str], label: str) -> Figure:
    """Numbers (N, K) by class: median, quartiles, whiskers at the 5th and 95th percentile, dots beyond.

    NaN counts nowhere; a class without a number has an empty row.
    """
    figure = Figure(figsize=(9, 1.2 + 0.3 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    columns = [column[np.isfinite(column)] for column in values.T]
    axes.boxplot(
        columns,
        orientation="horizontal",
        tick_labels=[f"{name} (n={len(column)})" for name, column in zip(names, columns, strict=True)],
        whis=(5, 95),
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": "#cfe0f3", "edgecolor": _BLUE},
        medianprops={"color": _BLUE, "linewidth": 2},
        flierprops={"marker": ".", "markersize": 4},
    )
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(axis="x", color=_GRID)
    axes.set_axisbelow(True)
    return figure


def edge_reliability(calibration: Sequence[EdgeCalibration]) -> Figure:
    """Near the edges of all classes: the share that belongs to the structure, by predicted probability.

    On the dashed line probabilities are shares; a bar's width stands for nothing, its number for pixels.
    """
    figure = Figure(figsize=(5.6, 4.8), layout="constrained")
    axes = figure.add_subplot()
    total = sum(calibration, EdgeCalibration.nothing())
    for count, predicted, true in zip(total.counts, total.predicted, total.true, strict=True):
        if count:
            axes.bar(predicted / count, true / count, width=0.8 / NUM_BINS, color="#cfe0f3", edgecolor=_BLUE)
    axes.plot([0, 1], [0, 1], color=_RED, linestyle="--", linewidth=1)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="predicted probability", ylabel="share that is true")
    return figure

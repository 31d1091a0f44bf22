"""The figures of an evaluation of boxes. Each takes numbers and returns a figure; no global state."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from util.evaluation.boxes.curves import FROC_RATES, Sweep
from util.evaluation.boxes.matches import OVERLAPS, RECALLS, ClassMatches

_BLUE, _GREY, _RED = "#2b6cb0", "#8a8f98", "#c53030"
_SHOWN_OVERLAPS = (0, 5, 8)  # 0.5, 0.75 and 0.9
_NAMED_CLASSES = 40  # beyond, a matrix has no room for names


def precision_recall(matches: Sequence[ClassMatches]) -> Figure:
    """Precision against recall, the mean over classes with objects, at three overlaps."""
    figure = Figure(figsize=(6.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    known = [item for item in matches if item.objects.any()]
    for place, row in enumerate(_SHOWN_OVERLAPS):
        curves = [_at_recalls(item, row) for item in known]
        label = f"overlap {OVERLAPS[row]:.2f}: AP {100 * np.mean(curves):.1f} %"
        axes.plot(RECALLS, np.mean(curves, axis=0), color=_BLUE, alpha=(1.0, 0.65, 0.35)[place], label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.grid(color="#e5e7eb")
    axes.legend()
    return figure


def froc_curve(swept: Sweep) -> Figure:
    """Share of the objects found against false positives an image; overlap 0.5."""
    figure = Figure(figsize=(6.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    usable = swept.last_of_score
    axes.step(swept.wrong_an_image[usable], swept.recall[usable], where="post", color=_BLUE)
    axes.set_xscale("symlog", linthresh=FROC_RATES[0])
    axes.set_xticks(FROC_RATES, [f"{rate:g}" for rate in FROC_RATES])
    axes.set(xlim=(0, FROC_RATES[-1]), ylim=(0, 1.02))
    axes.set(xlabel="false positives an image", ylabel="objects found")
    axes.grid(color="#e5e7eb")
    return figure


def reliability_bars(calibration: Mapping[str, Any]) -> Figure:
    """The share that is right against the score, a bar a bin; on the dashed line scores are calibrated."""
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for one in calibration["bins"]:
        axes.bar(one["score"], one["right"], width=0.08, color="#cfe0f3", edgecolor=_BLUE)
        axes.annotate(str(one["count"]), (one["score"], one["right"]), ha="center", va="bottom", fontsize=8)
    axes.plot([0, 1], [0, 1], color=_RED, linestyle="--", linewidth=1)
    axes.set(xlim=(0, 1), ylim=(0, 1.08), xlabel="score", ylabel="share that is right")
    return figure


def confusion_picture(matrix: np.ndarray, names: Sequence[str]) -> Figure:
    """Counts (K + 1, K + 1): true classes as rows, predicted ones as columns, nothing last."""
    named = len(names) <= _NAMED_CLASSES
    side = min(2.4 + 0.27 * len(matrix), 13.0) if named else 9.0
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(np.sqrt(matrix), cmap="Blues")
    if named:
        labels = [*names, "nothing"]
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=8)
        axes.set_yticks(range(len(labels)), labels, fontsize=8)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            dark = matrix[row, column] > 0.25 * matrix.max()
            axes.text(
                column, row, str(matrix[row, column]), ha="center", va="center", fontsize=7,
                color="white" if dark else "black",
            )  # fmt: skip
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def _at_recalls(item: ClassMatches, row: int) -> np.ndarray:
    """(101,) precision of a class at COCO's recalls."""
    recall, precision = item.curve(np.ones(len(item.objects)))
    index = np.searchsorted(recall[row], RECALLS, side="left")
    return np.append(precision[row], 0.0)[index]

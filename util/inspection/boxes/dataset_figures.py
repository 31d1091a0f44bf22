"""Figures of what a data set of boxes holds: how often each class comes, and how large its objects are."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from datasets.boxes.objects import BoxRecord

_BLUE, _GREY = "#2b6cb0", "#8a8f98"
_MOST_CLASSES = 60  # bars with names; of more the most frequent are shown


def class_figure(records: Sequence[BoxRecord], names: Sequence[str], title: str) -> Figure:
    """Objects of each class, the most frequent first; what is ignored counts apart, grey."""
    counts = np.zeros((2, len(names)), int)
    for record in records:
        for ignored in (0, 1):
            counts[ignored] += np.bincount(record.labels[record.ignored == ignored], minlength=len(names))
    order = np.argsort(-counts[0], kind="stable")[:_MOST_CLASSES]
    figure = Figure(figsize=(8, 1.4 + 0.24 * len(order)), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(order))
    axes.barh(places, counts[0][order], color=_BLUE, label="objects")
    if counts[1].any():
        axes.barh(places, counts[1][order], left=counts[0][order], color=_GREY, label="ignored")
        axes.legend()
    axes.set_yticks(places, [names[int(index)] for index in order])
    axes.invert_yaxis()
    axes.set(title=title, xlabel=f"objects, {counts.sum()} of {len(names)} classes")
    return figure


def size_figure(records: Sequence[BoxRecord], title: str) -> Figure:
    """Width against height of every box, in pixels of its image, and how many boxes an image has."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    boxes = np.concatenate([record.boxes for record in records])
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    left.loglog(width, height, ".", color=_BLUE, alpha=0.3, markersize=4)
    for side in (32, 96):
        reach = np.geomspace(1, max(float(width.max(initial=2.0)), side), 50)
        left.loglog(reach, side**2 / reach, color=_GREY, linestyle=":")
    left.set(xlabel="width, pixels", ylabel="height, pixels (dotted: 32 x 32 and 96 x 96)", title=title)
    counts = [len(record.labels) for record in records]
    step = -(-(max(counts) + 1) // 30)  # whole numbers a bar
    right.hist(counts, bins=list(np.arange(0, max(counts) + 1 + step, step) - 0.5), color=_BLUE)
    right.set(xlabel="boxes an image", ylabel="images")
    return figure

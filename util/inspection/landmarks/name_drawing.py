"""Names of landmarks in the margins of a picture, each tied to its point."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from util.inspection.landmarks.canvas_drawing import draw_dots, landmark_colours

_ELBOW = 0.03  # of the image's width, outside of it
_LINES = 36  # of text that fit along the height of an image
_HEIGHT, _LETTER = 7.5, 0.075  # inches: an image, and a letter of its labels


def named_figure(size: np.ndarray, labels: Sequence[str], note: str = "") -> tuple[Figure, Axes]:
    """A figure with room for an image of ``size`` (width, height) and for ``labels`` on both sides of it.

    ``note``: what is to be said of the names, such as which of them are inferred; below the image.
    """
    height, width = _HEIGHT, _HEIGHT * size[0] / size[1]
    side = 0.5 + _LETTER * max(map(len, labels), default=0)  # inches
    total_width, total_height = width + 2.0 * side, height + 1.0
    figure = Figure(figsize=(total_width, total_height))
    place = (side / total_width, 0.6 / total_height, width / total_width, height / total_height)
    figure.text(0.5, 0.01, note, ha="center", va="bottom", fontsize=7)
    return figure, figure.add_axes(place)


def draw_names(axes: Axes, points: np.ndarray, labels: Sequence[str]) -> None:
    """Dots at (K, 2) points of the image shown, and their names left and right of it.

    Half of the points go to each side, in the order of their height, so no two names overlap however close
    their points are. A missing (NaN) point is left out.
    """
    colours = landmark_colours(len(points))
    width, height = axes.get_xlim()[1], axes.get_ylim()[0]
    present = np.flatnonzero(np.isfinite(points).all(-1))
    by_x = present[np.argsort(points[present, 0])]
    middle = len(by_x) // 2
    for side, edge, elbow, align in (
        (by_x[:middle], 0.0, -_ELBOW * width, "right"),
        (by_x[middle:], width, (1.0 + _ELBOW) * width, "left"),
    ):
        order = side[np.argsort(points[side, 1])]
        for k, y in zip(order, spread(points[order, 1], height), strict=True):
            line = [points[k, 0], edge, elbow], [points[k, 1], y, y]
            axes.plot(*line, color=colours[k], linewidth=0.7, clip_on=False, zorder=3)
            axes.text(elbow, y, f" {labels[k]} ", ha=align, va="center", fontsize=8)
    draw_dots(axes, points, colours)


def spread(wanted: np.ndarray, height: float) -> np.ndarray:
    """Ascending positions on [0, height] near ascending ``wanted`` ones, a line of text apart or evenly."""
    count = len(wanted)
    gap = min(height / _LINES, height / max(count, 1))
    lines = gap * np.arange(count)
    shifted = np.maximum.accumulate(wanted - lines)  # pushed down, each as far as the one before it
    centred = shifted - np.mean(shifted - (wanted - lines)) if count else shifted
    return np.clip(centred, gap / 2, height - gap * (count - 0.5)) + lines

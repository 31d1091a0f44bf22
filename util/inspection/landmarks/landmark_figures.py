"""Pictures of how a model finds one landmark: heatmap, sampling points, windows, way, gradients.

Everything is drawn on the canvas, the letterboxed image that the model sees. ``landmark`` counts from 0.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from util.inspection.landmarks.canvas_drawing import (
    PREDICTED,
    REFERENCE,
    TRACE,
    Canvas,
    colour_bar,
    draw_before_after,
    draw_cross,
    draw_ellipse,
    draw_legend,
    panels,
    scale_bar,
    show_image,
    show_map,
    whole,
    zoom_to,
)
from util.inspection.landmarks.gradients import SCORES, GradientMap
from util.inspection.landmarks.views import PathStep, RoiView, SamplingView

_MARKERS = "os^Dv<>p"  # one a level
_CLOSE = 0.08  # of the canvas height, to each side of a close-up
_BEFORE_AFTER = {"before": ("P", REFERENCE), "after": ("P", PREDICTED)}


def heatmap_figure(canvas: Canvas, heatmap: np.ndarray, landmark: int, final: PathStep) -> Figure:
    """The landmark's heatmap (h, w), a probability of place: whole, and close to the prediction."""
    figure, axes = panels(1, 2, width=4.6, height=4.6 * canvas.size[1] / canvas.size[0])
    point = final.points[landmark] * canvas.size
    for ax, title in zip(
        axes[0], (f"{canvas.labels[landmark]}: heatmap", "close to the prediction"), strict=True
    ):
        show_image(ax, canvas.image, title)
        show_map(ax, heatmap, whole(canvas.image))
        draw_cross(ax, point, PREDICTED)
    zoom_to(axes[0, 1], canvas.image, point, _CLOSE * canvas.size[1])
    scale_bar(axes[0, 1], canvas.mm_per_px)
    draw_legend(axes[0, 0], {"prediction": ("P", PREDICTED)})
    colour_bar(figure, axes, Normalize(0.0, 100.0 * float(heatmap.max())), "inferno", "probability a cell, %")
    return figure


def sampling_figure(canvas: Canvas, views: Sequence[SamplingView], landmark: int) -> Figure:
    """Where each decoder layer reads for the landmark, by attention weight: whole, and close."""
    figure, axes = panels(2, len(views), width=3.8, height=3.8 * canvas.size[1] / canvas.size[0])
    shades = Normalize(0.0, max(float(view.weights[landmark].max()) for view in views))
    for column, view in enumerate(views):
        reference = view.references[landmark] * canvas.size
        for ax in axes[:, column]:
            show_image(ax, canvas.image, f"{canvas.labels[landmark]}: decoder layer {column + 1}")
            _samples(ax, view.points[landmark] * canvas.size, view.weights[landmark], shades)
            draw_before_after(ax, reference, view.after[landmark] * canvas.size)
        zoom_to(axes[1, column], canvas.image, reference, _CLOSE * canvas.size[1])
        axes[1, column].set_title("close", fontsize=9)
        scale_bar(axes[1, column], canvas.mm_per_px)
    levels = views[0].points.shape[2]
    keys = {
        f"level {n + 1}{', finest' if n == 0 else ''}": (_MARKERS[n % len(_MARKERS)], "white")
        for n in range(levels)
    }
    draw_legend(axes[0, 0], keys | _BEFORE_AFTER)
    colour_bar(figure, axes, shades, "plasma", "attention weight (those of a head sum to 1)")
    return figure


def roi_figure(canvas: Canvas, views: Sequence[RoiView], landmark: int) -> Figure:
    """The window of each ROI stage: bare above, under its attention below."""
    figure, axes = panels(2, len(views), width=4.0, height=4.0)
    for column, view in enumerate(views):
        centre, half = view.centres[landmark] * canvas.size, view.half * canvas.size
        side = round(view.attention.shape[1] ** 0.5)
        title = f"{canvas.labels[landmark]}: ROI stage {column + 1}\nwindow ±{canvas.length(float(half[1]))}"
        for ax, text in zip(axes[:, column], (title, "attention"), strict=True):
            show_image(ax, canvas.image, text)
            zoom_to(ax, canvas.image, centre, 1.4 * float(half.max()))
        left_top, right_bottom = centre - half * side / (side - 1), centre + half * side / (side - 1)
        extent = (left_top[0], right_bottom[0], right_bottom[1], left_top[1])
        share = 100.0 * view.attention[landmark].reshape(side, side)
        shades = Normalize(0.0, float(share.max()))
        show_map(axes[1, column], share, extent, norm=shades)
        colour_bar(figure, axes[1, column], shades, "inferno", "attention a sample, % (they sum to 100)")
        for ax in axes[:, column]:
            ax.add_patch(Rectangle(tuple(centre - half), *(2.0 * half), fill=False, edgecolor=REFERENCE))
            draw_before_after(ax, centre, view.after[landmark] * canvas.size)
            scale_bar(ax, canvas.mm_per_px)
    draw_legend(axes[0, 0], _BEFORE_AFTER)
    return figure


def path_figure(canvas: Canvas, path: Sequence[PathStep], landmark: int) -> Figure:
    """The way of one landmark: whole, close with one predicted standard deviation a step, and in numbers."""
    figure, axes = panels(1, 3, width=4.2, height=4.2 * canvas.size[1] / canvas.size[0])
    way = np.stack([step.points[landmark] for step in path]) * canvas.size  # (steps, 2)
    show_image(axes[0, 0], canvas.image, canvas.labels[landmark])
    show_image(axes[0, 1], canvas.image, "close; ellipse: 1 SD along x and y")
    for ax in axes[0, :2]:
        ax.plot(*way.T, "o-", color=TRACE, linewidth=1.2, markersize=3)
        draw_before_after(ax, way[0], way[-1])
    deviations = [None if step.scale is None else step.deviation[landmark] * canvas.size for step in path]
    shades = np.linspace(0.35, 1.0, len(path))
    for point, sides, shade in zip(way, deviations, shades, strict=True):
        if sides is not None:
            draw_ellipse(axes[0, 1], point, np.diag(sides**2), 1.0, edgecolor=PREDICTED, alpha=shade)
    zoom_to(axes[0, 1], canvas.image, way[-1], _reach(way, deviations))
    scale_bar(axes[0, 1], canvas.mm_per_px)
    draw_legend(axes[0, 0], {path[0].name: ("P", REFERENCE), "prediction": ("P", PREDICTED)})
    radial = [float(step.radial_error(canvas.size)[landmark]) for step in path]
    _step_table(axes[0, 2], canvas, path, way, radial)
    return figure


def gradient_figure(canvas: Canvas, maps: Sequence[GradientMap], landmark: int) -> Figure:
    """Gradient-weighted maps, each on its own scale: rows are scores and weightings, columns feature maps."""
    scores = list(dict.fromkeys(one.score for one in maps))
    columns = max(sum(one.score == score for one in maps) for score in scores)
    height = 2.9 * canvas.size[1] / canvas.size[0]
    figure, axes = panels(2 * len(scores), columns, width=2.9, height=height)
    for row, score in enumerate(scores):
        for column, one in enumerate([one for one in maps if one.score == score]):
            stride = canvas.size[1] / one.cellwise.shape[0]
            views = (("by channel (Grad-CAM)", one.channelwise), ("by cell", one.cellwise))
            for ax, (kind, values) in zip(axes[2 * row : 2 * row + 2, column], views, strict=True):
                show_image(ax, canvas.image, f"stride {stride:g}, {kind}")
                show_map(ax, values, whole(canvas.image))
                draw_cross(ax, one.point * canvas.size, PREDICTED)
        axes[2 * row, 0].set_ylabel(SCORES[score], fontsize=9)
        axes[2 * row + 1, 0].set_ylabel(SCORES[score], fontsize=9)
    title = (
        f"{canvas.labels[landmark]}: features that its coordinates depend on (brightest = largest of its map)"
    )
    figure.suptitle(title, fontsize=10)
    return figure


def _samples(axes: Axes, points: np.ndarray, weights: np.ndarray, shades: Normalize) -> None:
    """(heads, L, P, 2) pixels with (heads, L, P) weights; the heavier, the larger and the more in front."""
    for level in range(points.shape[1]):
        flat, weight = points[:, level].reshape(-1, 2), weights[:, level].ravel()
        order = np.argsort(weight)
        axes.scatter(
            flat[order, 0],
            flat[order, 1],
            s=8.0 + 60.0 * shades(weight[order]),
            c=weight[order],
            cmap="plasma",
            norm=shades,
            marker=_MARKERS[level % len(_MARKERS)],
            edgecolors="white",
            linewidths=0.4,
            zorder=4,
        )


def _reach(way: np.ndarray, deviations: Sequence[np.ndarray | None]) -> float:
    """Pixels about the last point that hold every predicted point and the last ellipses."""
    predicted = [point for point, sides in zip(way, deviations, strict=True) if sides is not None]
    spread = max(float(sides.max()) for sides in deviations[-2:] if sides is not None)
    return 1.2 * max(float(np.abs(np.array(predicted) - way[-1]).max()), spread, 4.0)


def _step_table(
    axes: Axes,
    canvas: Canvas,
    path: Sequence[PathStep],
    way: np.ndarray,
    radial_px: Sequence[float],
) -> None:
    lengths = ["", *(canvas.length(float(np.hypot(*step))) for step in np.diff(way, axis=0))]
    expected = ["" if np.isnan(radial) else f"±{canvas.length(radial)}" for radial in radial_px]
    rows = [[step.name, *cells] for step, *cells in zip(path, lengths, expected, strict=True)]
    axes.axis("off")
    table = axes.table(
        rows, colLabels=["step", "moved", "radial error\nexpected"], loc="center", cellLoc="left"
    )
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    table.scale(1.0, 1.8)

"""Pictures of what ``util.inspection.landmarks.inspect`` finds inside a model, for all landmarks at once.

Everything is drawn on the canvas, the letterboxed image that the model sees.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm, Normalize
from matplotlib.figure import Figure

from util.inspection.landmarks.canvas_drawing import (
    REFERENCE,
    TRACE,
    Canvas,
    colour_bar,
    draw_ellipse,
    landmark_colours,
    panels,
    scale_bar,
    show_image,
    show_map,
    whole,
)
from util.inspection.landmarks.name_drawing import draw_names, named_figure
from util.inspection.landmarks.views import PathStep, SalienceView


def prediction_figure(canvas: Canvas, final: PathStep) -> Figure:
    """Every landmark by name with its uncertainty, the root-mean-square radial error that is predicted."""
    points, deviation = final.points * canvas.size, final.deviation * canvas.size  # (K, 2) pixels
    radial = final.radial_error(canvas.size)
    labels = [f"{name}, ±{canvas.length(r)}" for name, r in zip(canvas.labels, radial, strict=True)]
    figure, axes = named_figure(canvas.size, labels, canvas.landmark_set.note)
    show_image(axes, canvas.image, "prediction ± radial error expected; ellipse: 1 SD along x and y")
    draw_names(axes, points, labels)
    for point, sides, colour in zip(points, deviation, landmark_colours(len(points)), strict=True):
        draw_ellipse(axes, point, np.diag(sides**2), 1.0, edgecolor=colour, linewidth=0.8)
    scale_bar(axes, canvas.mm_per_px)
    return figure


def salience_figure(canvas: Canvas, view: SalienceView) -> Figure:
    """Per level: salience above; below, the tokens that the encoder updates, by the number of its layers."""
    figure, axes = panels(2, len(view.levels), width=3.0, height=3.0 * canvas.size[1] / canvas.size[0])
    layers = max(1, max(int(level.max()) for level in view.updates))
    extent = whole(canvas.image)
    for column, (salience, updates) in enumerate(zip(view.levels, view.updates, strict=True)):
        stride = canvas.size[1] / salience.shape[0]
        show_image(axes[0, column], canvas.image, f"stride {stride:g}: salience")
        show_map(axes[0, column], salience, extent, norm=Normalize(0.0, 1.0))
        kept, total = int((updates > 0).sum()), updates.size
        title = f"{kept} of {total} tokens kept ({100.0 * kept / total:.0f} %)"
        show_image(axes[1, column], canvas.image, title)
        show_map(axes[1, column], updates, extent, norm=Normalize(0.0, layers), cmap="viridis", opacity=0.6)
    colour_bar(figure, axes[0], Normalize(0.0, 1.0), "inferno", "salience (a landmark's peak is 1)")
    shades = BoundaryNorm(np.arange(-0.5, layers + 1.0), layers + 1)
    bar = colour_bar(
        figure,
        axes[1],
        shades,
        colormaps["viridis"].resampled(layers + 1),
        "encoder layers that update it (0: clear)",
    )
    bar.set_ticks(range(layers + 1))
    return figure


def attention_figure(canvas: Canvas, attention: np.ndarray) -> Figure:
    """(layers, heads, K, K) self-attention, mean over heads: how much row looks at column; rows sum to 1."""
    count = attention.shape[-1]
    side = 2.0 + 0.2 * count
    figure, axes = panels(1, len(attention), width=side, height=side)
    mean = attention.mean(1)  # (layers, K, K)
    shades = Normalize(0.0, float(mean.max()))
    for layer, (ax, weights) in enumerate(zip(axes[0], mean, strict=True), start=1):
        ax.imshow(weights, cmap="magma", norm=shades)
        ax.set_title(f"decoder layer {layer}", fontsize=9)
        ax.set_xticks(range(count), canvas.landmark_set.abbreviations, rotation=90, fontsize=7)
        ax.set_yticks(range(count), canvas.labels if layer == 1 else [""] * count, fontsize=8)
        ax.set_xlabel("landmark looked at", fontsize=8)
    axes[0, 0].set_ylabel("landmark that looks", fontsize=8)
    label = f"attention, mean over heads (1/K = {1.0 / count:.3f})"
    colour_bar(figure, axes, shades, "magma", label)
    return figure


def paths_figure(canvas: Canvas, path: Sequence[PathStep]) -> Figure:
    """The way of every landmark from the first step to the prediction."""
    figure, axes = named_figure(canvas.size, canvas.labels, canvas.landmark_set.note)
    show_image(axes, canvas.image, f"blue: {path[0].name}; yellow: the way; coloured dot: prediction")
    way = np.stack([step.points for step in path]) * canvas.size  # (steps, K, 2)
    axes.plot(way[..., 0], way[..., 1], color=TRACE, linewidth=1.2, zorder=3)
    axes.scatter(way[0, :, 0], way[0, :, 1], s=14, color=REFERENCE, zorder=4)
    draw_names(axes, way[-1], canvas.labels)
    scale_bar(axes, canvas.mm_per_px)
    return figure

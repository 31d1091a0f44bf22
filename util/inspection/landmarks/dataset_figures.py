"""Pictures of prepared data: named landmarks, augmentation, salience targets, and the spread of shapes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from util.inspection.landmarks.canvas_drawing import (
    Canvas,
    colour_bar,
    draw_dots,
    draw_ellipse,
    landmark_colours,
    panels,
    scale_bar,
    show_image,
    show_map,
    whole,
    zoom_to,
)
from util.inspection.landmarks.heatmap_target import HeatmapTarget
from util.inspection.landmarks.name_drawing import draw_names, named_figure
from util.inspection.landmarks.shape_spread import ShapeSpread

Shown = tuple[Canvas, np.ndarray]  # an image and its (K, 2) points in pixels
_DEVIATIONS_95 = 2.4477  # of a two-dimensional normal distribution: 95 % lie inside, sqrt(-2 ln 0.05)
_CLOSE = 0.06  # of the canvas height, to each side of a close-up


def landmarks_figure(canvas: Canvas, points: np.ndarray, case: str) -> Figure:
    """A case with all its landmarks (K, 2) pixels by name; which are missing is said below."""
    missing = [label for label, point in zip(canvas.labels, points, strict=True) if np.isnan(point).any()]
    width, height = canvas.size
    figure, axes = named_figure(canvas.size, canvas.labels, canvas.landmark_set.note)
    show_image(axes, canvas.image, f"{case}: {width} x {height} px, {_scale(canvas.mm_per_px)}")
    draw_names(axes, points, canvas.labels)
    scale_bar(axes, canvas.mm_per_px)
    if missing:
        axes.set_xlabel(f"missing: {', '.join(missing)}", fontsize=8)
    return figure


def augmentation_figure(plain: Shown, draws: Sequence[Shown]) -> Figure:
    """A case as evaluation sees it, and as training does in several draws; numbers name the landmarks."""
    columns = min(len(draws) + 1, 3)
    canvas = plain[0]
    rows = -(-(len(draws) + 1) // columns)
    figure, axes = panels(rows, columns, width=4.0, height=4.0 * canvas.size[1] / canvas.size[0])
    titles = ["not augmented", *(f"draw {number} of training" for number in range(len(draws)))]
    for ax in axes.flat:
        ax.axis("off")
    for ax, title, (canvas, points) in zip(axes.flat, titles, (plain, *draws), strict=False):
        show_image(ax, canvas.image, title)
        _numbered(ax, points)
        scale_bar(ax, canvas.mm_per_px)
    return figure


def target_figure(canvas: Canvas, points: np.ndarray, target: HeatmapTarget) -> Figure:
    """The heatmap target of the loss, its maximum over landmarks, and the salience that it stands for.

    points: (K, 2) pixels of the canvas.
    """
    maps, levels = target.maps.numpy(), [level.numpy() for level in target.salience]
    rows, columns = (2, max(3, len(levels))) if levels else (1, 3)
    figure, axes = panels(rows, columns, width=3.2, height=3.2 * canvas.size[1] / canvas.size[0])
    for ax in axes.flat:
        ax.axis("off")
    extent, union = whole(canvas.image), maps.max(0)
    title = f"target: Gaussians, SD {canvas.length(target.sigma_px)}\na colour a landmark"
    show_image(axes[0, 0], canvas.image, title)
    _channels(axes[0, 0], maps, extent)
    shades = Normalize(0.0, float(union.max()) or 1.0)
    for ax, title in zip(axes[0, 1:3], ("maximum over landmarks", "the same, close"), strict=True):
        show_image(ax, canvas.image, title)
        show_map(ax, union, extent, norm=shades)
    present = points[np.isfinite(points).all(-1)]
    if len(present):
        zoom_to(axes[0, 2], canvas.image, present[0], _CLOSE * canvas.size[1])
        draw_dots(axes[0, 2], points, landmark_colours(len(points)), size=12.0)
        scale_bar(axes[0, 2], canvas.mm_per_px)
    colour_bar(figure, axes[0], shades, "inferno", target.unit)
    for ax, level in zip(axes[1] if levels else (), levels, strict=False):
        show_image(ax, canvas.image, f"salience, stride {canvas.size[1] / level.shape[0]:g}")
        show_map(ax, level, extent, norm=Normalize(0.0, 1.0))
    if levels:
        colour_bar(figure, axes[1], Normalize(0.0, 1.0), "inferno", "salience (a landmark's peak is 1)")
    return figure


def mean_shape_figure(spread: ShapeSpread, title: str) -> Figure:
    """The mean shape with 95 % ellipses, and each landmark's standard deviations in the margin."""
    most = spread.count.max()
    labels = []
    for k, name in enumerate(spread.landmark_set.landmarks):
        major, minor = spread.deviations[k]
        cases = "" if spread.count[k] == most else f" (n={spread.count[k]})"
        labels.append(f"{k + 1} {name}, {major:.1f} x {minor:.1f} {spread.unit}{cases}")
    figure, axes = named_figure(spread.canvas, labels, spread.landmark_set.note)
    axes.set(xlim=(0.0, spread.canvas[0]), ylim=(spread.canvas[1], 0.0), facecolor="#202428")
    axes.set_title(f"{title}: mean shape; ellipse: 95 %; numbers: SD along its axes", fontsize=9)
    axes.set_xlabel(f"x, {spread.unit}", fontsize=8, labelpad=1)
    axes.tick_params(labelsize=7, left=False, labelleft=False)
    for mean, covariance, colour in zip(
        spread.mean, spread.covariance, landmark_colours(len(labels)), strict=True
    ):
        if np.isfinite(covariance).all():
            draw_ellipse(axes, mean, covariance, _DEVIATIONS_95, edgecolor=colour, linewidth=1.0)
    draw_names(axes, spread.mean, labels)
    scale_bar(axes, 1.0 if spread.unit == "mm" else np.nan)
    return figure


def _scale(mm_per_px: float) -> str:
    return "spacing unknown" if np.isnan(mm_per_px) else f"{mm_per_px:.3f} mm/px"


def _numbered(axes: Axes, points: np.ndarray) -> None:
    draw_dots(axes, points, landmark_colours(len(points)), size=10.0)
    for number, point in enumerate(points, start=1):
        if np.isfinite(point).all():
            axes.annotate(
                str(number),
                (point[0], point[1]),
                xytext=(3, 3),
                textcoords="offset points",
                color="white",
                fontsize=6,
                path_effects=[withStroke(linewidth=1.5, foreground="black")],
                annotation_clip=True,
            )


def _channels(axes: Axes, target: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    """Every channel in the colour of its landmark, as strong as it is against its peak."""
    peaks = target.max((-2, -1), keepdims=True)
    share = np.divide(target, peaks, out=np.zeros_like(target), where=peaks > 0)  # (K, h, w)
    strongest = share.argmax(0)
    rgba = landmark_colours(len(target))[strongest]
    rgba[..., 3] = share.max(0)
    axes.imshow(rgba, extent=extent, interpolation="nearest")

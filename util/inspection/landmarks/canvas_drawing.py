"""Drawing on X-rays with matplotlib. Points are continuous pixels of the image, as everywhere else."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from datasets.landmarks.landmark_set import LandmarkSet

PREDICTED, REFERENCE, TRACE = "#28e63c", "#50beff", "#ffe100"  # after a step, before it, the way
_DARK = "#101418"
_BARS_MM = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Canvas:
    """An image with the names of its landmarks and its scale: what a picture is drawn on."""

    image: np.ndarray  # (H, W) uint8
    landmark_set: LandmarkSet
    mm_per_px: float  # of this image; NaN where unknown

    @property
    def size(self) -> np.ndarray:
        """(2,) width and height in pixels."""
        return np.array(self.image.shape[::-1])

    @property
    def labels(self) -> list[str]:
        """Number, from 1, and name of every landmark."""
        return [f"{k} {name}" for k, name in enumerate(self.landmark_set.landmarks, start=1)]

    def length(self, pixels: float) -> str:
        """A distance with its unit: mm where the scale is known, else pixels."""
        return f"{pixels:.1f} px" if np.isnan(self.mm_per_px) else f"{pixels * self.mm_per_px:.2f} mm"


def landmark_colours(count: int) -> np.ndarray:
    """(K, 4) RGBA; neighbours in number are far apart in hue."""
    return colormaps["hsv"]((np.arange(count) * 0.618034) % 1.0)  # steps of the golden ratio


def panels(rows: int, columns: int, *, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A figure and its (rows, columns) axes of ``width`` x ``height`` inches each."""
    figure = Figure(figsize=(width * columns + 0.8, height * rows + 0.3), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def show_image(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """The grey image without ticks; its pixel column i covers [i, i + 1)."""
    height, width = image.shape
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def show_map(
    axes: Axes,
    values: np.ndarray,
    extent: tuple[float, float, float, float],
    *,
    norm: Normalize | None = None,
    cmap: str = "inferno",
    opacity: float = 0.9,
) -> None:
    """A non-negative map (h, w) over (left, right, bottom, top) pixels, clear where it is 0."""
    share = np.clip((norm or Normalize(0.0, max(float(values.max()), 1e-12)))(values), 0.0, 1.0)
    rgba = colormaps[cmap](share)
    rgba[..., 3] = opacity * np.sqrt(share)
    window = axes.axis()
    axes.imshow(rgba, extent=extent, interpolation="nearest")
    axes.axis(window)


def whole(image: np.ndarray) -> tuple[float, float, float, float]:
    """The extent of the whole image for ``show_map``."""
    return 0.0, float(image.shape[1]), float(image.shape[0]), 0.0


def zoom_to(axes: Axes, image: np.ndarray, centre: np.ndarray, half: float) -> None:
    """Show the square of ``image`` that reaches ``half`` pixels from ``centre``, grey values stretched."""
    axes.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] + half, centre[1] - half))
    axes.set_facecolor("black")  # where it leaves the image
    left, top = np.clip(np.floor(centre - half).astype(int), 0, None)
    right, bottom = np.clip(np.ceil(centre + half).astype(int), 1, None)
    seen = image[top:bottom, left:right]
    if seen.size:
        axes.images[0].set_clim(float(seen.min()), float(seen.max()) + 1.0)


def scale_bar(axes: Axes, mm_per_px: float) -> None:
    """A bar of a round number of millimetres at the lower left; of pixels where the scale is unknown."""
    unit, per_pixel = ("px", 1.0) if np.isnan(mm_per_px) else ("mm", mm_per_px)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    length = max([bar for bar in _BARS_MM if bar < (right - left) * per_pixel / 3], default=_BARS_MM[0])
    x, y = left + 0.05 * (right - left), bottom + 0.05 * (top - bottom)
    for colour, width in ((_DARK, 5.0), ("white", 2.5)):
        axes.plot([x, x + length / per_pixel], [y, y], color=colour, linewidth=width, solid_capstyle="butt")
    style: dict[str, Any] = {"xytext": (0, 5), "textcoords": "offset points", "color": "white", "fontsize": 8}
    axes.annotate(f"{length:g} {unit}", (x, y), bbox={"facecolor": _DARK, "pad": 1, "linewidth": 0}, **style)


def draw_dots(axes: Axes, points: np.ndarray, colours: np.ndarray, size: float = 18.0) -> None:
    """A dot with a dark rim a point; NaN points are left out."""
    axes.scatter(points[:, 0], points[:, 1], s=size, c=colours, edgecolors=_DARK, linewidths=0.6, zorder=4)


def draw_cross(axes: Axes, point: np.ndarray, colour: str, size: float = 10.0) -> None:
    """An upright cross with a dark rim."""
    for shade, width in ((_DARK, 3.5), (colour, 1.6)):
        axes.plot(*point, "+", color=shade, markersize=size, markeredgewidth=width, zorder=5)


def draw_before_after(axes: Axes, before: np.ndarray, after: np.ndarray) -> None:
    """Where a step began and ended; the wider cross under the other one, should they fall together."""
    draw_cross(axes, before, REFERENCE, size=17.0)
    draw_cross(axes, after, PREDICTED, size=9.0)


def draw_ellipse(
    axes: Axes, centre: np.ndarray, covariance: np.ndarray, deviations: float, **style: Any
) -> None:
    """The ellipse at ``deviations`` standard deviations of a (2, 2) covariance about ``centre``."""
    variances, directions = np.linalg.eigh(covariance)  # ascending
    minor, major = 2.0 * deviations * np.sqrt(np.clip(variances, 0.0, None))
    angle = np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
    axes.add_patch(Ellipse((centre[0], centre[1]), major, minor, angle=angle, fill=False, **style))


def draw_legend(axes: Axes, keys: dict[str, tuple[str, str]]) -> None:
    """A dark legend of markers: text -> (marker, colour)."""
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=colour, label=text)
        for text, (marker, colour) in keys.items()
    ]
    axes.legend(
        handles=handles, fontsize=7, loc="upper left", facecolor=_DARK, labelcolor="white", framealpha=0.8
    )


def colour_bar(figure: Figure, axes: Axes | np.ndarray, norm: Normalize, cmap: Any, label: str) -> Colorbar:
    """One bar for one or several axes."""
    beside = np.ravel(axes).tolist()  # pyright: ignore[reportArgumentType, reportCallIssue]
    bar = figure.colorbar(ScalarMappable(norm, cmap), ax=beside, shrink=0.7, pad=0.01)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return bar

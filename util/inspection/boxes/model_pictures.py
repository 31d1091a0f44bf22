"""What a detector sees in one image, as tools/visualize_model.py is asked."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from datasets.boxes.batch import collate_boxes, with_channels
from datasets.files.colour import as_colour
from datasets.files.image_files import SourceImage
from models.backbone import input_channels
from util.arguments import positive
from util.checkpoints.boxes.required import require_salience_detr
from util.checkpoints.checkpoint import LoadedModel
from util.config import instantiate
from util.inspection.boxes.box_views import Candidates, gradient_maps, look_inside
from util.inspection.chosen_image import chosen_image
from util.prediction.boxes.image_boxes import source_sample
from util.training.task import Say

_LEAST = 0.05  # score of a detection that is drawn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What a look into a detector can be asked besides."""
    parser.add_argument(
        "--objects", type=positive(int), default=8, metavar="N", help="queries followed layer by layer (8)"
    )


def model_pictures(loaded: LoadedModel, args: argparse.Namespace, say: Say) -> Iterator[tuple[str, Figure]]:
    """Those of ``pictures_of`` as tools/visualize_model.py is asked for them."""
    return pictures_of(loaded, chosen_image(args.input, args.slice, args.spacing), args.objects, say)


def pictures_of(
    loaded: LoadedModel, image: SourceImage, objects: int, say: Say
) -> Iterator[tuple[str, Figure]]:
    """File stem and figure: detections, salience, kept tokens, proposals, boxes by layer, gradients.

    ``objects``: the best queries that are followed layer by layer.
    """
    require_salience_detr(loaded, "a look inside")
    model = loaded.model
    channels = input_channels(model.parameters())
    sample = source_sample(image, loaded.meaning.classes, colour=channels == 3)
    batch = collate_boxes([instantiate(loaded.config.eval_transforms)(sample, np.random.default_rng(0))])
    device = next(model.parameters()).device
    images, sizes = with_channels(batch.images, channels).to(device), batch.sizes.to(device)
    width, height = batch.sizes[0].tolist()
    picture = as_colour((images[0].cpu().numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8).squeeze())
    picture, names = picture[:height, :width], loaded.meaning.names
    views = look_inside(model, images, sizes, objects)
    yield "detections", detections_figure(picture, views.detections, names)
    yield "salience", maps_figure(picture, views.salience, "salience, level {}", 1.0)
    layers = len(model.encoder.layers)
    yield "kept_tokens", maps_figure(picture, views.updates, "encoder layers on a token, level {}", layers)
    yield "proposals", proposals_figure(picture, views.proposals)
    yield "layers", layers_figure(picture, views.layers, names)
    for number, one in enumerate(gradient_maps(model, images, sizes, min(objects, 3)), start=1):
        if not any(m.any() for m in one.maps):
            say(f"object {number}, {names[one.label]}: no map of the backbone speaks for it.")
            continue
        title = f"what speaks for {names[one.label]} {one.score:.2f}, map {{}}"
        yield f"gradients_{number}", maps_figure(picture, one.maps, title, None, one.box)


def detections_figure(picture: np.ndarray, found: Candidates, names: Sequence[str]) -> Figure:
    """The detections with a score worth a look, by class and score."""
    shown = np.flatnonzero(found.scores >= _LEAST)
    figure, (axes,) = _panels(picture, 1, 7.0)
    _show(axes, picture, f"{len(shown)} detections with a score of at least {_LEAST:g}")
    for place in shown[::-1]:
        colour = _colour(float(found.scores[place]))
        _draw(axes, found.boxes[place], colour)
        caption = f"{names[int(found.labels[place])]} {found.scores[place]:.2f}"
        _write(axes, found.boxes[place], caption, colour)
    return figure


def maps_figure(
    picture: np.ndarray,
    maps: Sequence[np.ndarray],
    title: str,
    top: float | None,
    box: np.ndarray | None = None,
) -> Figure:
    """A panel a map, over the image; ``top`` is the end of the colours, None for each map's own largest."""
    figure, panels = _panels(picture, len(maps), 4.0)
    height, width = picture.shape[:2]
    for number, (axes, values) in enumerate(zip(panels, maps, strict=True), start=1):
        end = top if top is not None else float(values.max()) or 1.0
        _show(axes, picture, f"{title.format(number)}: {values.shape[1]} x {values.shape[0]} cells")
        shown = axes.imshow(values, cmap="magma", vmin=0.0, vmax=end, alpha=0.6, extent=(0, width, height, 0))
        figure.colorbar(shown, ax=axes, shrink=0.7)
        if box is not None:
            _draw(axes, box, "cyan")
    return figure


def proposals_figure(picture: np.ndarray, proposals: Candidates) -> Figure:
    """All proposals, coloured by their score; the best on top."""
    figure, (axes,) = _panels(picture, 1, 7.0)
    best = float(proposals.scores.max(initial=0.0))
    _show(axes, picture, f"{len(proposals.scores)} proposals, the best with a score of {best:.2f}")
    for box, score in zip(proposals.boxes[::-1], proposals.scores[::-1], strict=True):
        _draw(axes, box, _colour(float(score) / (best or 1.0)), 0.4)
    return figure


def layers_figure(picture: np.ndarray, layers: Sequence[Candidates], names: Sequence[str]) -> Figure:
    """The same queries, a colour each: as proposals, then after every layer of the decoder."""
    figure, panels = _panels(picture, len(layers), 4.0)
    colours = colormaps["tab10"].colors  # pyright: ignore[reportAttributeAccessIssue]
    for number, (axes, layer) in enumerate(zip(panels, layers, strict=True)):
        _show(axes, picture, f"after layer {number}" if number else "proposals")
        for place, box in enumerate(layer.boxes):
            colour = colours[place % len(colours)]
            _draw(axes, box, colour)
            caption = f"{names[int(layer.labels[place])]} {layer.scores[place]:.2f}"
            _write(axes, box, caption, colour)
    return figure


def _panels(picture: np.ndarray, count: int, side: float) -> tuple[Figure, list[Axes]]:
    """Panels of ``side`` inches wide, at most two in a row."""
    columns = min(count, 2)
    rows = -(-count // columns)
    height = side * picture.shape[0] / picture.shape[1] + 0.3
    figure = Figure(figsize=(side * columns, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, list(grid[:count])


def _show(axes: Axes, picture: np.ndarray, title: str) -> None:
    height, width = picture.shape[:2]
    axes.imshow(picture, extent=(0, width, height, 0))
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()


def _draw(axes: Axes, box: np.ndarray, colour: object, width: float = 1.0) -> None:
    left, top, right, bottom = map(float, box)
    axes.add_patch(
        Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=width)  # pyright: ignore[reportArgumentType]
    )


def _write(axes: Axes, box: np.ndarray, caption: str, colour: Any) -> None:
    axes.text(float(box[0]), float(box[1]), caption, color=colour, fontsize=5, va="bottom", clip_on=True)


def _colour(share: float) -> tuple[float, float, float, float]:
    return colormaps["viridis"](share)

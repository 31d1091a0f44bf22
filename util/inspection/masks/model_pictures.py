"""What a mask model says of one image, as tools/visualize_model.py is asked."""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from util.checkpoints.checkpoint import LoadedModel
from util.inspection.chosen_image import chosen_image
from util.prediction.masks.looks import MaskLooks
from util.prediction.masks.predict import MaskFinder, MaskPredictor
from util.reporting.masks.mask_drawing import outlined, palette
from util.training.task import Say


def model_pictures(loaded: LoadedModel, args: argparse.Namespace, say: Say) -> Iterator[tuple[str, Any]]:
    """File stem and figure: the outlines, where the model is unsure, and the probability of every class."""
    image = chosen_image(args.input, args.slice, args.spacing)
    finder: MaskFinder = MaskLooks((loaded.file,)).predictor([MaskPredictor.of(loaded)])
    taken = list(finder.look(image))
    size = image.image.shape[1], image.image.shape[0]
    names, colours = finder.class_set.classes, palette(len(finder.class_set))
    found = finder.find(image)
    yield "outlines", _figure(outlined(image.image, found.masks(), colours), "outlines, a colour a class")
    unsure = np.zeros(image.image.shape[:2], np.float32)
    for name, probability in zip(names, finder.probabilities(taken, size), strict=True):
        np.maximum(unsure, 1.0 - np.abs(2.0 * probability - 1.0), out=unsure)
        stem = f"probability_{name}".replace("/", "_")  # it becomes the name of a file
        yield stem, _figure(probability, f"probability of {name}", scale="0 to 1")
    yield (
        "unsure",
        _figure(unsure, "how unsure the least certain class is, 1 at probability 1/2", scale="0 to 1"),
    )
    say("a mask model here has no queries: there is no picture of attention.")


def _figure(picture: np.ndarray, title: str, scale: str | None = None) -> Figure:
    height, width = picture.shape[:2]
    figure = Figure(figsize=(7.0, 7.0 * height / width + 0.4), layout="constrained")
    axes = figure.add_subplot()
    shown = axes.imshow(picture, cmap="magma", vmin=0.0, vmax=1.0) if scale else axes.imshow(picture)
    if scale:
        figure.colorbar(shown, ax=axes, shrink=0.8)
    axes.set_title(title)
    axes.axis("off")
    return figure

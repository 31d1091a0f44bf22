"""What a training set asks of a detector that it cannot give: said before the first step."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from datasets.boxes.box_dataset import BoxDataset
from datasets.boxes.geometry import MIN_SIDE
from datasets.files.colour import shows_colour

_COLOURS_OF, _SIDES_OF = 8, 100  # images looked at: the first, the last and others between them


def doubts(model: Any, channels: int, data: BoxDataset) -> Iterator[str]:
    """A sentence each. ``channels``: of the images that ``model`` takes; ``data``: upright, as evaluated."""
    if channels == 1 and any(shows_colour(data.load(index).image) for index in _spread(data, _COLOURS_OF)):
        yield "images in colour, which the model sees grey; model.backbone.in_channels=3 keeps colour"
    counts = np.array([(~record.ignored).sum() for record in data.records])
    limits = {name: getattr(model, name, counts.max()) for name in ("num_queries", "num_detections")}
    name, limit = min(limits.items(), key=lambda item: item[1])
    if counts.max() > limit:
        yield (
            f"{(counts > limit).sum()} images have more objects (up to {counts.max()}) than the model can "
            f"find; model.{name}={limit}"
        )
    sides = np.concatenate([_sides(data, index) for index in _spread(data, _SIDES_OF)])
    if (lost := int((sides < MIN_SIDE).sum())) > 0:
        yield (
            f"{lost} of {len(sides)} objects looked at are narrower than a pixel on the canvas, so training "
            "drops them; a larger canvas keeps them"
        )


def _spread(data: BoxDataset, count: int) -> np.ndarray:
    return np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).round().astype(int))


def _sides(data: BoxDataset, index: int) -> np.ndarray:
    """(N,) pixels: the shorter side of every object of an image on its canvas, crowds left out."""
    sample = data.without_pixels(index)
    return (sample.boxes[:, 2:] - sample.boxes[:, :2])[~sample.ignored].min(1, initial=np.inf)

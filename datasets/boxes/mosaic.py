"""Mosaic: four training images as one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from datasets.boxes.geometry import areas
from datasets.boxes.sample import BoxSample
from transforms.geometry import translate
from transforms.move import Move

_CENTRE = (0.25, 0.75)  # where it may lie, as shares of a side of the canvas


def mosaic(samples: Sequence[BoxSample], rng: np.random.Generator) -> BoxSample:
    """Four samples of one canvas as one of it: each is seen in its own quarter around a random centre.

    After Bochkovskiy et al. (YOLOv4, 2020): objects of full size beside those of other images. Here a quarter
    keeps its place on the canvas, since on an X-ray the place tells left from right. An object that a seam
    cuts is clipped or dropped as one at the border of the canvas (``datasets.boxes.geometry.in_sight``).

    No matrix leads back to four images, so the mosaic is its own source.
    """
    canvas = np.empty_like(samples[0].image)
    height, width = canvas.shape[:2]
    x, y = (round(side * rng.uniform(*_CENTRE)) for side in (width, height))
    quarters = ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height))
    parts = [_part(sample, quarter) for sample, quarter in zip(samples, quarters, strict=True)]
    for part, (left, top, right, bottom) in zip(parts, quarters, strict=True):
        canvas[top:bottom, left:right] = part.image
    corners = [(*quarter[:2], *quarter[:2]) for quarter in quarters]
    boxes = np.concatenate([part.boxes + corner for part, corner in zip(parts, corners, strict=True)])
    return replace(
        samples[0],
        image=canvas,
        spacing=np.full(2, np.nan),
        to_source=np.eye(3),
        case=" + ".join(sample.case for sample in samples),
        boxes=boxes,
        labels=np.concatenate([part.labels for part in parts]),
        ignored=np.concatenate([part.ignored for part in parts]),
        source_boxes=boxes,
        areas=areas(boxes),
        source_size=(width, height),
    )


def _part(sample: BoxSample, quarter: tuple[int, int, int, int]) -> BoxSample:
    """What ``quarter`` (left, top, right, bottom in whole pixels) shows of ``sample``, as an image."""
    left, top, right, bottom = quarter
    return sample.moved(Move(translate(-left, -top), (right - left, bottom - top))).in_sight()

"""Pictures of boxes as training sees them, as tools/visualize_datasets.py is asked for them."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from datasets.boxes.box_dataset import BoxDataset, open_boxes
from datasets.boxes.sample import BoxSample
from util.config import instantiate
from util.inspection.boxes.dataset_figures import class_figure, size_figure
from util.reporting.boxes.box_pictures import contact_sheet, grid, truth_picture
from util.reporting.figures import png
from util.reporting.visualise import encode_png, fit

_SIDE = 900  # pixels of a picture of one case
_TILE = 420  # and of one of its augmentations


def data_pictures(
    config: Mapping[str, Any], args: argparse.Namespace, say: Callable[[str], object]
) -> Iterator[tuple[str, bytes]]:
    """File stem and PNG, one at a time: cases as stored and augmented, classes, sizes, many at a glance."""
    upright = open_boxes(args.data, args.subset)
    augmented = open_boxes(args.data, args.subset, instantiate(config["train_transforms"]), args.seed)
    for index in chosen(upright, args.count, args.seed):
        sample = upright.load(index)
        yield sample.case, encode_png(case_picture(sample, _SIDE))
        yield f"{sample.case}_augmented", encode_png(augmented_picture(augmented, index, args.draws))
    title = f"{upright.folder.name}, {upright.subset}, {len(upright)} images"
    yield "classes", png(class_figure(upright.records, upright.classes.names, title))
    yield "sizes", png(size_figure(upright.records, title))
    spread = np.unique(np.linspace(0, len(upright) - 1, min(args.sheet, len(upright))).round().astype(int))
    tiles = ((upright.cases[index], case_picture(upright.load(int(index)), _TILE)) for index in spread)
    yield "contact_sheet", encode_png(contact_sheet(tiles))
    empty = sum(not len(record.labels) for record in upright.records)
    if empty:
        say(f"{empty} of {len(upright)} images have no box; they are trained on as background.")


def chosen(dataset: BoxDataset, count: int, seed: int) -> list[int]:
    """Indices of ``count`` images, drawn by ``seed`` among those with boxes, or of all where none has."""
    filled = [index for index, record in enumerate(dataset.records) if len(record.labels)]
    pool = filled or list(range(len(dataset)))
    drawn = np.random.default_rng(seed).permutation(len(pool))[:count]
    return [pool[index] for index in sorted(drawn)]


def case_picture(sample: BoxSample, side: int) -> np.ndarray:
    """(H, W, 3) the image with its longer side at ``side``, its boxes and their classes."""
    image = fit(sample.image, side)
    zoom = np.array(image.shape[1::-1]) / sample.size
    return truth_picture(image, sample.boxes * np.tile(zoom, 2), sample.labels, sample.classes.names)


def augmented_picture(dataset: BoxDataset, index: int, draws: int) -> np.ndarray:
    """(H, W, 3) the first ``draws`` draws of a case side by side, each with its boxes, on squares."""
    tiles = []
    for draw in range(draws):
        drawn = case_picture(dataset[index, draw], _TILE)
        tile = np.zeros((_TILE, _TILE, 3), np.uint8)
        tile[: drawn.shape[0], : drawn.shape[1]] = drawn
        tiles.append(tile)
    return grid(tiles)

"""Prepared masks as training sees them, as tools/visualize_datasets.py is asked for them."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np

from datasets.masks.dataset import MaskDataset
from datasets.masks.raster import plane
from datasets.masks.sample import MaskSample
from util.config import instantiate
from util.reporting.masks.mask_drawing import outlined, palette
from util.reporting.visualise import encode_png, fit
from util.training.task import Say

_TILE = 240  # pixels of a case on the contact sheet
_COLUMNS = 8


def data_pictures(
    config: Mapping[str, Any], args: argparse.Namespace, say: Say
) -> Iterator[tuple[str, bytes]]:
    """File stem and PNG: cases upright beside their augmentations, and a contact sheet of all."""
    upright = MaskDataset(args.data, args.subset, instantiate(config["eval_transforms"]))
    augmented = MaskDataset(args.data, args.subset, instantiate(config["train_transforms"]), args.seed)
    chosen = np.random.default_rng(args.seed).permutation(len(upright))[: args.count]
    for index in map(int, chosen):
        draws = [augmented[index, draw] for draw in range(args.draws)]
        row = np.concatenate([_drawn(sample) for sample in (upright[index], *draws)], 1)
        yield f"case_{upright.cases[index]}", encode_png(row)
    spread = np.unique(np.linspace(0, len(upright) - 1, min(args.sheet, len(upright))).astype(int))
    yield "contact_sheet", encode_png(_sheet([_drawn(upright[int(index)]) for index in spread]))
    names = upright.class_set.classes
    say("outlines: " + ", ".join(names))


def _drawn(sample: MaskSample) -> np.ndarray:
    packed, count = sample.packed(), len(sample.class_set)
    return outlined(sample.image, (plane(packed, k) for k in range(count)), palette(count))


def _sheet(tiles: list[np.ndarray]) -> np.ndarray:
    """(H, W, 3): tiles in rows, each fitted to a square."""
    squares = [_square(tile) for tile in tiles]
    squares += [np.zeros((_TILE, _TILE, 3), np.uint8)] * (-len(squares) % _COLUMNS)
    rows = [
        np.concatenate(squares[start : start + _COLUMNS], 1) for start in range(0, len(squares), _COLUMNS)
    ]
    return np.concatenate(rows)


def _square(tile: np.ndarray) -> np.ndarray:
    tile = fit(tile, _TILE)
    down, across = _TILE - tile.shape[0], _TILE - tile.shape[1]
    return cv2.copyMakeBorder(tile, 0, down, 0, across, cv2.BORDER_CONSTANT)

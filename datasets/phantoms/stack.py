"""Phantoms in the form of the CL-Detection 2023 challenge: one MHA stack and its annotations.

With them the whole path of the challenge runs where the organisers' files are not at hand.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.phantoms.phantom import Phantom
from datasets.prepared.case import INDEX_TO_CONTINUOUS, PreparedCase
from util.files import write_atomic

STACK, ANNOTATIONS = "train_stack.mha", "train-gt.json"
FRAME_HEIGHT = 2400  # pixels of the organisers' slices
_FRAME_ASPECT = 2880 / 2400  # width to height of a slice; films are narrower
_SMALLER = 0.8  # every other film has this share of the height, and so pixels of another size
_HEADER = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
ElementSpacing = 1 1 1
DimSize = {width} {height} {num_slices}
ElementNumberOfChannels = 3
ElementType = MET_UCHAR
ElementDataFile = LOCAL
"""


def write_phantom_stack(folder: Path, num_slices: int, *, height: int = FRAME_HEIGHT, seed: int = 0) -> None:
    """Write ``STACK`` and ``ANNOTATIONS`` into ``folder``, one slice in memory at a time.

    A slice is a film at the top left of an RGB frame of ``height`` pixels, zeros elsewhere.
    """
    if num_slices < 1:
        raise ValueError(f"{num_slices} slices, expected at least 1.")
    sizes = height, round(height * _SMALLER)
    phantoms = [Phantom(size, seed, missing=0.0) for size in sizes]
    folder.mkdir(parents=True, exist_ok=True)
    partial, points = folder / f".{STACK}.partial", []
    try:
        with partial.open("wb") as stream:
            width = round(height * _FRAME_ASPECT)
            stream.write(_HEADER.format(width=width, height=height, num_slices=num_slices).encode())
            for number in range(1, num_slices + 1):
                case = phantoms[(number - 1) % len(phantoms)].case(number - 1)
                stream.write(_framed(case.image, (height, width)).tobytes())
                points += _annotation(case, number)
        os.replace(partial, folder / STACK)
    finally:
        partial.unlink(missing_ok=True)
    write_atomic(folder / ANNOTATIONS, _annotations_file(points))


def _framed(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """``image`` (H, W) as RGB at the top left of a frame (height, width, 3) of zeros."""
    frame = np.zeros((*size, 3), np.uint8)
    frame[: image.shape[0], : image.shape[1]] = image[..., None]
    return frame


def _annotation(case: PreparedCase, number: int) -> list[dict[str, Any]]:
    """The landmarks of slice ``number`` as the organisers write them: whole pixels, mm per pixel as text."""
    pixels = np.rint(case.points - INDEX_TO_CONTINUOUS).astype(int).tolist()
    scale = f"{case.spacing[0]:.6f}"
    return [{"name": k, "point": [x, y, number], "scale": scale} for k, (x, y) in enumerate(pixels, start=1)]


def _annotations_file(points: Sequence[dict[str, Any]]) -> str:
    content = {"name": "Orthodontic landmarks", "type": "Multiple points", "points": list(points)}
    return json.dumps(content, indent=1) + "\n"

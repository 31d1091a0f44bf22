"""A small stack in the published form of CL-Detection 2023, with its ground truth."""

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

FRAME = (72, 84)  # height, width of a slice, padding included
SIZES = [(60, 50), (72, 84), (41, 66), (72, 40), (55, 55)]  # height, width of the image on each slice
SCALES = ["0.1", "0.125", "0.096", "0.1", "0.125"]  # mm per pixel of each slice, as text


def images() -> list[np.ndarray]:
    """An image per slice, without a zero."""
    return [np.random.default_rng(n).integers(1, 256, size, np.uint8) for n, size in enumerate(SIZES)]


def stack_pixels() -> np.ndarray:
    """(5, 72, 84, 3) with every image at the top left."""
    stack = np.zeros((len(SIZES), *FRAME, 3), np.uint8)
    for number, image in enumerate(images()):
        stack[number, : image.shape[0], : image.shape[1]] = image[..., None]
    return stack


def truth() -> dict:
    """As published: names and coordinates are numbers, the scale is text, and differs from slice to slice."""
    points = []
    for number, ((height, width), scale) in enumerate(zip(SIZES, SCALES, strict=True), start=1):
        pixels = np.random.default_rng(number).integers(0, (width, height), (38, 2)).tolist()
        points += [
            {"name": k, "point": [x, y, number], "scale": scale} for k, (x, y) in enumerate(pixels, start=1)
        ]
    return {"name": "Orthodontic landmarks", "type": "Multiple points", "points": points}


def write_stack(
    folder: Path, pixels: np.ndarray, annotations: dict, *, compress: bool = False
) -> tuple[Path, Path]:
    """``train_stack.mha`` of (N, H, W[, 3]) ``pixels``, and ``train-gt.json``."""
    stack, file = folder / "train_stack.mha", folder / "train-gt.json"
    sitk.WriteImage(
        sitk.GetImageFromArray(pixels, isVector=pixels.ndim == 4), str(stack), useCompression=compress
    )
    file.write_text(json.dumps(annotations))
    return stack, file

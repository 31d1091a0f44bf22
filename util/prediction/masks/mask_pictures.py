"""Found masks as pictures: a black and white PNG a class, and outlines on the image."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from util.files import write_atomic
from util.prediction.masks.image_masks import ImageMasks


def write_class_pngs(folder: Path, stem: str, found: ImageMasks, classes: Sequence[str]) -> None:
    """``FOLDER/CLASS/STEM.png`` of 0 and 255 for every class, black for one without a pixel.

    The layout that ``tools/prepare_masks.py --masks`` reads.
    """
    for name, mask in zip(classes, found.masks(), strict=True):
        write_png(folder / name / f"{stem}.png", mask.astype(np.uint8) * 255)


def write_png(file: Path, pixels: np.ndarray) -> None:
    """(H, W) grey or (H, W, 3) RGB, uint8, as a whole PNG."""
    encoded = cv2.imencode(".png", pixels if pixels.ndim == 2 else pixels[..., ::-1])[1]
    write_atomic(file, encoded.tobytes())

"""Several pictures as one: tiles in a grid, each with a line of text if that is wanted."""

import math
from collections.abc import Sequence

import cv2
import numpy as np


def grid(tiles: Sequence[np.ndarray], wide: float = 1.0) -> np.ndarray:
    """(H, W, 3) picture of at least one tile (h, w, 3), all of a size, row by row; black where none is left.

    wide: columns for every row, about.
    """
    columns = math.ceil(math.sqrt(wide * len(tiles)))
    filled = [*tiles, *[np.zeros_like(tiles[0])] * (-len(tiles) % columns)]
    rows = [
        np.concatenate(filled[start : start + columns], axis=1) for start in range(0, len(filled), columns)
    ]
    return np.concatenate(rows, axis=0)


def captioned(picture: np.ndarray, caption: str, side: int, letters: float = 0.4) -> np.ndarray:
    """(side, side, 3) uint8 tile: a ``picture`` (h, w, 3), no larger, in the middle of its top, text below.

    letters: size of the text, in OpenCV's unit, about 22 pixels.
    """
    tile = np.zeros((side, side, 3), np.uint8)
    left = (side - picture.shape[1]) // 2
    tile[: picture.shape[0], left : left + picture.shape[1]] = picture
    style = cv2.FONT_HERSHEY_SIMPLEX, letters, (255, 255, 255), 1, cv2.LINE_AA
    cv2.putText(tile, caption, (4, side - 5), *style)
    return tile

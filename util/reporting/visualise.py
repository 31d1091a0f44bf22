"""Pictures of landmarks on X-rays: truth red, prediction green, a yellow line between them.

Points are continuous (x, y); OpenCV draws in index coordinates, where the centre of a pixel is a whole
number, so half a pixel is taken off in one place (``_fixed``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from util.files import write_atomic
from util.reporting.grid import captioned, grid

if TYPE_CHECKING:  # PyTorch comes with both, and inference with an exported graph does without
    from datasets.landmarks.batch import PointBatch
    from models.landmarks.prediction import Prediction

TRUTH, PREDICTION, LINE, UNCERTAINTY = (255, 40, 40), (40, 230, 60), (255, 225, 0), (80, 190, 255)  # RGB
WARNING = (255, 90, 60)
_SHIFT = 4  # OpenCV draws in 1/16 pixel


def overlay(
    image: np.ndarray,
    predicted: np.ndarray,
    *,
    truth: np.ndarray | None = None,
    radius: np.ndarray | None = None,
    dot: float | None = None,
) -> np.ndarray:
    """(H, W, 3) uint8 RGB copy of a grey ``image`` (H, W) with its landmarks drawn on it.

    predicted, truth: (K, 2) pixels of ``image``; a NaN point is not drawn, one outside is drawn at the
    border.
    radius: (K,) pixels of a circle about each prediction, its uncertainty; NaN draws none.
    dot: pixels, radius of a point; None suits the whole image.
    """
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    dot = max(1.5, math.hypot(*image.shape) / 400) if dot is None else dot
    for k, point in enumerate(predicted):
        if radius is not None and np.isfinite(radius[k]):
            _circle(canvas, point, float(radius[k]), UNCERTAINTY, width=max(1, round(dot / 3)))
    if truth is not None:
        for here, there in zip(predicted, truth, strict=True):
            _line(canvas, here, there, width=max(1, round(dot / 2)))
            _circle(canvas, there, dot, TRUTH)
    for point in predicted:
        _circle(canvas, point, dot, PREDICTION)
    return canvas


def write_line(canvas: np.ndarray, text: str) -> None:
    """Write ``text`` (ASCII) over the top of an (H, W, 3) picture, in place, as large as its width allows."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), below = cv2.getTextSize(text, font, 1.0, 2)
    size = min(canvas.shape[1] / (width + 2 * height), canvas.shape[0] / (20 * height))
    pen = max(round(2 * size), 1)
    cv2.rectangle(
        canvas, (0, 0), (canvas.shape[1], round(size * (2 * height + below))), (0, 0, 0), cv2.FILLED
    )
    place = round(size * height), round(1.5 * size * height)
    cv2.putText(canvas, text, place, font, size, WARNING, pen, cv2.LINE_AA)


def crop(image: np.ndarray, centre: np.ndarray, size: int) -> np.ndarray:
    """The (size, size[, C]) window of ``image`` about ``centre`` (x, y), black where it leaves the image."""
    corner = np.floor(centre).astype(int) - size // 2
    height, width = image.shape[:2]
    window = np.zeros((size, size, *image.shape[2:]), image.dtype)
    left, top = np.clip(corner, 0, (width, height))
    right, bottom = np.clip(corner + size, 0, (width, height))
    x, y = left - corner[0], top - corner[1]
    window[y : y + bottom - top, x : x + right - left] = image[top:bottom, left:right]
    return window


def fit(image: np.ndarray, side: int) -> np.ndarray:
    """``image`` with its longer side brought to ``side`` pixels."""
    zoom = side / max(image.shape[:2])
    size = max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)


def prediction_picture(batch: PointBatch, prediction: Prediction, limit: int = 4) -> np.ndarray:
    """(H, W, 3) uint8 grid of the first ``limit`` cases of a batch on their canvas, truth and prediction."""
    count = min(limit, len(batch))
    size = batch.canvas.cpu().numpy()  # (2,) width, height
    images = (batch.images[:count, 0].cpu().numpy() * 255).round().clip(0, 255).astype(np.uint8)
    predicted = prediction.points[:count].detach().double().cpu().numpy() * size
    truth = batch.points[:count].double().cpu().numpy() * size
    tiles = [overlay(images[b], predicted[b], truth=truth[b]) for b in range(count)]
    return grid(tiles)


def contact_sheet(tiles: Iterable[tuple[str, np.ndarray, np.ndarray]], side: int = 240) -> np.ndarray:
    """(H, W, 3) uint8 grid of images with their landmarks and a caption each.

    tiles: caption, grey image (H, W) and (K, 2) points in its pixels; each is let go once it is drawn.
    """
    return grid([_tile(caption, image, points, side) for caption, image, points in tiles], wide=1.6)


def _tile(caption: str, image: np.ndarray, points: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3): the image fitted above a line of text."""
    text_height = 18
    small = fit(image, side - text_height)
    small = overlay(small, points * (small.shape[0] / image.shape[0]), dot=1.5)
    return captioned(small, caption, side)


def encode_png(image: np.ndarray) -> bytes:
    """PNG of a grey (H, W) or RGB (H, W, 3) uint8 image."""
    order = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".png", order)
    if not done:
        raise ValueError(
            f"an image of shape {image.shape} could not be encoded as PNG, expected (H, W[, 3]) uint8."
        )
    return data.tobytes()


def write_png(file: str | Path, image: np.ndarray) -> None:
    """Write an RGB or grey uint8 image as PNG, atomically."""
    write_atomic(file, encode_png(image))


def require_free_folder(folder: str | Path) -> None:
    """Raise ValueError if ``folder`` is a file or has something in it: pictures of two runs would mix."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, expected a new or empty folder. Give another path.")
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty, expected a new or empty folder. Give another, or empty it.")


def _line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, width: int) -> None:
    if np.isfinite(start).all() and np.isfinite(end).all():
        ends = _fixed(canvas, start), _fixed(canvas, end)
        cv2.line(canvas, *ends, LINE, width, lineType=cv2.LINE_AA, shift=_SHIFT)


def _circle(
    canvas: np.ndarray,
    centre: np.ndarray,
    radius: float,
    colour: tuple[int, int, int],
    width: int = cv2.FILLED,
) -> None:
    """A disc, or a ring ``width`` pixels wide."""
    if np.isfinite(centre).all():
        length = round(min(radius, math.hypot(*canvas.shape[:2])) * 2**_SHIFT)
        cv2.circle(canvas, _fixed(canvas, centre), length, colour, width, lineType=cv2.LINE_AA, shift=_SHIFT)


def _fixed(canvas: np.ndarray, point: np.ndarray) -> tuple[int, int]:
    """Continuous pixels -> OpenCV's fixed-point index coordinates, held inside the canvas."""
    inside = np.clip(point, 0.0, canvas.shape[1::-1])
    x, y = np.round((inside - 0.5) * 2**_SHIFT).astype(int)
    return int(x), int(y)

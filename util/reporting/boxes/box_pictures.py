"""Pictures of boxes on images: truth red, prediction green with its class and score."""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from datasets.files.colour import as_colour
from util.evaluation.boxes.box_results import ImageBoxes
from util.reporting.visualise import PREDICTION, TRUTH, fit

IGNORED = (160, 110, 110)  # RGB, of objects that need not be found
_SHIFT = 4  # OpenCV draws in 1/16 pixel
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_boxes(
    canvas: np.ndarray, boxes: np.ndarray, colour: tuple[int, int, int], captions: Sequence[str] = ()
) -> None:
    """Draw (N, 4) boxes, in pixels of the RGB ``canvas``, on it; each under its caption if there are any."""
    width = max(1, round(math.hypot(*canvas.shape[:2]) / 700))
    for box in boxes:
        near, far = (
            tuple(map(int, np.round((corner - 0.5) * (1 << _SHIFT)))) for corner in (box[:2], box[2:])
        )
        cv2.rectangle(canvas, near, far, colour, width, cv2.LINE_AA, _SHIFT)
    size = max(0.3, math.hypot(*canvas.shape[:2]) / 2600)
    for box, caption in zip(boxes, captions, strict=False):
        _caption(canvas, caption, box, colour, size)


def overlay(
    image: np.ndarray, found: ImageBoxes, names: Sequence[str], show_conf: float, *, truth: bool = True
) -> np.ndarray:
    """(H, W, 3) uint8 RGB copy of ``image`` (H, W[, 3]) with the detections of at least ``show_conf``.

    truth: whether to draw the objects too, those that need not be found in grey red.
    """
    canvas = as_colour(image).copy()
    if truth:
        draw_boxes(canvas, found.true_boxes[found.ignored], IGNORED)
        draw_boxes(canvas, found.true_boxes[~found.ignored], TRUTH)
    shown = found.scores >= show_conf
    labels, scores = found.labels[shown], found.scores[shown]
    captions = [f"{names[int(label)]} {score:.2f}" for label, score in zip(labels, scores, strict=True)]
    draw_boxes(canvas, found.boxes[shown], PREDICTION, captions)
    return canvas


def truth_picture(
    image: np.ndarray, boxes: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """(H, W, 3) uint8 RGB copy of ``image`` (H, W[, 3]) with its objects and their classes."""
    canvas = as_colour(image).copy()
    draw_boxes(canvas, boxes, TRUTH, [names[int(label)] for label in labels])
    return canvas


def prediction_picture(
    batch: Any, final: Any, names: Sequence[str], show_conf: float = 0.5, limit: int = 4
) -> np.ndarray:
    """(H, W, 3) uint8 grid of the first ``limit`` images of a batch on their canvas, truth and prediction."""
    tiles = []
    for row in range(min(limit, len(batch))):
        pixels = (batch.images[row].movedim(0, -1).cpu().numpy() * 255).round().clip(0, 255).astype(np.uint8)
        canvas = as_colour(pixels[..., 0] if pixels.shape[2] == 1 else pixels).copy()
        target = {name: values.cpu().numpy() for name, values in batch.targets[row].items()}
        draw_boxes(canvas, target["boxes"], TRUTH)
        scores = final.scores[row].detach().float().cpu().numpy()
        shown = scores >= show_conf
        labels = final.labels[row].cpu().numpy()[shown]
        captions = [f"{names[label]} {score:.2f}" for label, score in zip(labels, scores[shown], strict=True)]
        draw_boxes(canvas, final.boxes[row].detach().double().cpu().numpy()[shown], PREDICTION, captions)
        tiles.append(canvas)
    return grid(tiles)


def contact_sheet(tiles: Iterable[tuple[str, np.ndarray]], side: int = 320) -> np.ndarray:
    """(H, W, 3) uint8 grid of RGB pictures, each fitted above its caption."""
    text_height = 18
    drawn = []
    for caption, image in tiles:
        small = fit(image, side - text_height)
        tile = np.zeros((side, side, 3), np.uint8)
        left = (side - small.shape[1]) // 2
        tile[: small.shape[0], left : left + small.shape[1]] = small
        _write(tile, caption, (4, side - 5), 0.4, (255, 255, 255))
        drawn.append(tile)
    return grid(drawn)


def grid(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W, 3) pictures of one size side by side, in about as many rows as columns."""
    columns = math.ceil(math.sqrt(len(tiles)))
    tiles = [*tiles, *[np.zeros_like(tiles[0])] * (-len(tiles) % columns)]
    rows = [np.concatenate(tiles[start : start + columns], axis=1) for start in range(0, len(tiles), columns)]
    return np.concatenate(rows, axis=0)


def _caption(
    canvas: np.ndarray, text: str, box: np.ndarray, colour: tuple[int, int, int], size: float
) -> None:
    """Dark letters on a patch of ``colour``, above the box, or inside it at the upper border."""
    width, height, below = _extent(text, size)
    left = int(np.clip(box[0], 0, max(canvas.shape[1] - width, 0)))
    bottom = int(box[1]) - 1
    if bottom - height - below < 0:
        bottom = int(box[1]) + height + below + 1
    cv2.rectangle(canvas, (left, bottom - height - below), (left + width, bottom), colour, -1)
    _write(canvas, text, (left, bottom - below + 1), size, (0, 0, 0))


def _extent(text: str, size: float) -> tuple[int, int, int]:
    """Width of a text, its height above the line of its letters' feet, and below."""
    if text.isascii():
        (width, height), below = cv2.getTextSize(text, _FONT, size, 1)
        return width, height, below
    _, top, right, bottom = _letters(size).getbbox(text, anchor="ls")
    return round(right), round(-top), max(round(bottom), 0)


def _write(
    canvas: np.ndarray, text: str, place: tuple[int, int], size: float, colour: tuple[int, int, int]
) -> None:
    """``text`` on the RGB ``canvas``, its first letter's foot at ``place``. OpenCV writes ? beyond ASCII."""
    if text.isascii():
        cv2.putText(canvas, text, place, _FONT, size, colour, 1, cv2.LINE_AA)
        return
    width, height, below = _extent(text, size)
    top = max(place[1] - height, 0)
    patch = canvas[top : place[1] + below + 1, place[0] : place[0] + width + 1]
    if not patch.size:
        return
    picture = Image.fromarray(np.ascontiguousarray(patch))
    ImageDraw.Draw(picture).text((0, place[1] - top), text, colour, _letters(size), anchor="ls")
    patch[...] = np.asarray(picture)


@cache
def _letters(size: float) -> ImageFont.FreeTypeFont:
    """matplotlib's own font, as large as OpenCV's at ``size``."""
    from matplotlib import get_data_path

    return ImageFont.truetype(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf"), max(round(29 * size), 6))

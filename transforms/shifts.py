"""Images as another machine might have made them: deterministic changes on which to test a shipped model.

A shift is a callable ``(Sample, Generator) -> Sample`` that makes a shifted copy of a source image, before
the letterbox. ``to_source`` still leads to the unshifted image, so errors on both are in the same mm of
anatomy. Lengths are shares of the image's height, so that a shift means the same at every resolution.
"""

import string
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np

from transforms import geometry
from transforms.artefacts import CAPITAL
from transforms.devices import covered, rod
from transforms.move import Move
from transforms.sample import AnySample, PointSample

Shift = Callable[[Any, np.random.Generator], Any]  # the same kind of sample comes back

_LETTERS = list(string.ascii_uppercase + string.digits)


def gamma(sample: AnySample, _: np.random.Generator, *, exponent: float) -> AnySample:
    """Grey values g in [0, 1] become g ** exponent: below 1 brighter, above 1 darker."""
    return _with_grey(sample, 255.0 * (sample.image / 255.0) ** exponent)


def invert(sample: AnySample, _: np.random.Generator) -> AnySample:
    """Black for white, as films are shown by some viewers."""
    return _with_grey(sample, 255.0 - sample.image)


def contrast(sample: AnySample, _: np.random.Generator, *, factor: float) -> AnySample:
    """Differences from the image's mean grey value times ``factor``; what leaves [0, 255] is cut off."""
    mean = sample.image.mean()
    return _with_grey(sample, mean + factor * (sample.image - mean))


def brightness(sample: AnySample, _: np.random.Generator, *, levels: float) -> AnySample:
    """``levels`` of 255 added to every pixel; what leaves [0, 255] is cut off."""
    return _with_grey(sample, sample.image + levels)


def blur(sample: AnySample, _: np.random.Generator, *, sigma: float) -> AnySample:
    """Gaussian blur; ``sigma`` as a share of the image's height."""
    return replace(sample, image=cv2.GaussianBlur(sample.image, (0, 0), sigma * sample.image.shape[0]))


def noise(sample: AnySample, rng: np.random.Generator, *, levels: float, rows: int = 512) -> AnySample:
    """Normal grain with a standard deviation of ``levels`` of 255.

    It is drawn ``rows`` to the image's height and enlarged, so that it survives the shrinking to a canvas
    about as well from every resolution; noise drawn pixel by pixel would average out in large images.
    """
    height, width = sample.image.shape
    grain = rng.standard_normal((rows, max(round(rows * width / height), 1)))
    grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
    return _with_grey(sample, sample.image + levels * grain / grain.std())


def scale(sample: AnySample, _: np.random.Generator, *, factor: float) -> AnySample:
    """The head ``factor`` times as large, about the middle of a frame of unchanged size."""
    return _moved_about_middle(sample, geometry.scale(factor, factor))


def rotate(sample: AnySample, _: np.random.Generator, *, degrees: float) -> AnySample:
    """The head turned about the middle of the frame, clockwise as one sees it for positive ``degrees``."""
    return _moved_about_middle(sample, geometry.rotate(degrees))


def crop(sample: AnySample, rng: np.random.Generator, *, low: float, high: float) -> AnySample:
    """A frame that leaves out a share between ``low`` and ``high`` of each side, drawn side by side."""
    width, height = sample.size
    left, right = np.rint(rng.uniform(low, high, 2) * width).astype(int)
    top, bottom = np.rint(rng.uniform(low, high, 2) * height).astype(int)
    frame = int(width - left - right), int(height - top - bottom)
    return _moved(sample, geometry.translate(-left, -top), frame)


def text(
    sample: AnySample, rng: np.random.Generator, *, lines: int, band: float, height: float, stroke: float
) -> AnySample:
    """White ``lines`` of letters and digits, within a ``band`` at the top or bottom; 0.5 is the whole image.

    ``band``, ``height`` of a capital and ``stroke`` are shares of the image's height. In training, text is
    up to three lines of 0.041 at most.
    """
    image = sample.image.copy()
    rows, columns = image.shape
    style = cv2.FONT_HERSHEY_SIMPLEX, height * rows / CAPITAL, 255, max(round(stroke * rows), 1), cv2.LINE_AA
    for _ in range(lines):
        words = "".join(rng.choice(_LETTERS, rng.integers(6, 14)))
        depth = rng.uniform(0.0, band)
        baseline = 1.0 - depth if rng.random() < 0.5 else height + depth
        cv2.putText(image, words, (int(rng.uniform(0.0, 0.6) * columns), int(baseline * rows)), *style)
    return replace(sample, image=image)


def rods(
    sample: PointSample, rng: np.random.Generator, *, count: int, width: float, pad: float, gap: float
) -> PointSample:
    """``count`` rods from the nearest border, each with a pad that ends a ``gap`` before some landmark.

    So a nose rest ends before nasion. It hides nothing of its own landmark; another's may lie behind it.
    """
    size = np.array(sample.size, float)
    layer = np.zeros(sample.image.shape[:2], np.uint8)
    known = sample.points[np.isfinite(sample.points).all(-1)]
    for place in rng.choice(known, min(count, len(known)), replace=False):
        borders = np.array([[0.0, place[1]], [size[0], place[1]], [place[0], 0.0], [place[0], size[1]]])
        start = borders[np.linalg.norm(borders - place, axis=1).argmin()]
        back = (start - place) / max(float(np.linalg.norm(start - place)), 1.0)
        rod(layer, start, place + gap * size[1] * back, width, pad)
    return replace(sample, image=covered(sample.image, layer, 0.9))


SHIFTS: dict[str, Shift] = {
    "gamma_0.5": partial(gamma, exponent=0.5),
    "gamma_2": partial(gamma, exponent=2.0),
    "invert": invert,
    "contrast_0.5": partial(contrast, factor=0.5),
    "contrast_2": partial(contrast, factor=2.0),
    "darker": partial(brightness, levels=-64.0),
    "brighter": partial(brightness, levels=64.0),
    "blur": partial(blur, sigma=0.004),
    "noise": partial(noise, levels=20.0),
    "scale_0.7": partial(scale, factor=0.7),
    "scale_0.85": partial(scale, factor=0.85),
    "scale_1.2": partial(scale, factor=1.2),
    "scale_1.4": partial(scale, factor=1.4),
    "rotate_-15": partial(rotate, degrees=-15.0),
    "rotate_-7.5": partial(rotate, degrees=-7.5),
    "rotate_7.5": partial(rotate, degrees=7.5),
    "rotate_15": partial(rotate, degrees=15.0),
    "crop": partial(crop, low=0.03, high=0.12),
    "text": partial(text, lines=3, band=0.04, height=0.045, stroke=0.006),
    "text_on_head": partial(text, lines=3, band=0.5, height=0.045, stroke=0.006),
    "rods": partial(rods, count=3, width=0.015, pad=0.05, gap=0.02),
}


def shifted_copy(sample: AnySample, name: str) -> AnySample:
    """``sample`` under shift ``name``: a function of the two alone, so every model is shown the same copy."""
    seed = [zlib.crc32(word.encode()) for word in (name, sample.case)]
    return SHIFTS[name](sample, np.random.default_rng(seed))


class ShiftedTransforms:
    """Evaluation transforms that see a shifted copy in place of each source image."""

    def __init__(self, name: str, transforms: Shift) -> None:
        self.name, self.transforms = name, transforms

    def __call__(self, sample: AnySample, rng: np.random.Generator) -> AnySample:
        """``rng`` goes to the transforms; the shift does not depend on it."""
        return self.transforms(shifted_copy(sample, self.name), rng)


def _with_grey(sample: AnySample, values: np.ndarray) -> AnySample:
    """``values`` (H, W) float as the sample's image: rounded, and cut off at 0 and 255."""
    return replace(sample, image=np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _moved_about_middle(sample: AnySample, matrix: np.ndarray) -> AnySample:
    width, height = sample.size
    return _moved(sample, geometry.about(matrix, width / 2, height / 2), sample.size)


def _moved(sample: AnySample, matrix: np.ndarray, frame: tuple[int, int]) -> AnySample:
    """``sample`` by ``matrix`` in a (width, height) frame, without what the frame does not show."""
    return sample.moved(Move(matrix, frame)).in_sight()

"""Canvases that follow the image: the whole image at a short side, drawn anew for training.

The images of a batch then differ in size, so its collate must pad them (``datasets.boxes.batch``).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from transforms import geometry
from transforms.in_words import in_words
from transforms.intensity import Intensity
from transforms.move import Move
from transforms.sample import AnySample

_SHORT_SIDES = tuple(range(480, 801, 32))


class ShortSideTransforms:
    """The whole image with its short side at ``short`` pixels, smaller where the long would pass ``long``.

    The canvas has the image's own aspect: nothing is padded, sides are whole pixels.
    """

    def __init__(self, short: int = 800, long: int = 1333) -> None:
        _check(short, long)
        self.short, self.long = short, long

    def __call__(self, sample: AnySample, rng: np.random.Generator) -> AnySample:
        """``rng`` is not used: evaluation is deterministic."""
        return sample.moved(_resized(sample.size, self.short, self.long))


class MultiScaleTransforms:
    """A random short side, half of the time of a random crop; a mirror image; random intensity.

    The recipe of DETR (Carion et al., 2020, A.4) as one matrix: with probability ``crop`` the image is first
    brought to a short side of ``crop_shorts`` and cut to sides within ``crop_sides``; then, cut or not, to a
    short side of ``shorts`` and a long one of at most ``long``.

    ``flip`` is the probability of a mirror image. Objects of which the crop leaves too little are dropped.
    """

    def __init__(
        self,
        shorts: Sequence[int] = _SHORT_SIDES,
        long: int = 1333,
        *,
        flip: float = 0.5,
        crop: float = 0.5,
        crop_shorts: Sequence[int] = (400, 500, 600),
        crop_sides: tuple[int, int] = (384, 600),
        intensity: Intensity | None = None,
    ) -> None:
        for short in (*shorts, *crop_shorts):
            _check(short, max(long, short))
        if not 0 < crop_sides[0] <= crop_sides[1]:
            raise ValueError(f"train_transforms.crop_sides={crop_sides}: expected 0 < low <= high pixels.")
        if not (0.0 <= flip <= 1.0 and 0.0 <= crop <= 1.0):
            raise ValueError(
                f"train_transforms: flip={flip}, crop={crop}, expected probabilities from 0 to 1."
            )
        self.shorts, self.long = tuple(shorts), long
        self.flip, self.crop = flip, crop
        self.crop_shorts, self.crop_sides = tuple(crop_shorts), crop_sides
        self.intensity = intensity

    def __str__(self) -> str:
        """What is drawn, by the names of the arguments; what is off is left out."""
        return in_words(
            {
                "shorts": self.shorts,
                "flip": self.flip,
                "crop": self.crop,
                "intensity": str(self.intensity or ""),
            }
        )

    def __call__(self, sample: AnySample, rng: np.random.Generator) -> AnySample:
        moved = sample.moved(self._move(sample.size, rng))
        if self.intensity is not None:
            moved = replace(moved, image=self.intensity(moved.image, rng))
        return moved.in_sight()

    def _move(self, size: tuple[int, int], rng: np.random.Generator) -> Move:
        matrix, seen = np.eye(3), size
        if rng.random() < self.flip:
            matrix = geometry.flip_x(size[0])
        if rng.random() < self.crop:
            cut = self._crop(size, rng)
            matrix, seen = cut.matrix @ matrix, cut.canvas
        last = _resized(seen, int(rng.choice(self.shorts)), self.long)
        return Move(last.matrix @ matrix, last.canvas)

    def _crop(self, size: tuple[int, int], rng: np.random.Generator) -> Move:
        """A window somewhere on the image at one of ``crop_shorts``."""
        whole = _resized(size, int(rng.choice(self.crop_shorts)), None)
        low, high = self.crop_sides
        limits = [(min(low, side), min(high, side)) for side in whole.canvas]
        width, height = (int(rng.integers(least, most + 1)) for least, most in limits)
        left = int(rng.integers(whole.canvas[0] - width + 1))
        top = int(rng.integers(whole.canvas[1] - height + 1))
        return Move(geometry.translate(-left, -top) @ whole.matrix, (width, height))


def _resized(size: tuple[int, int], short: int, long: int | None) -> Move:
    """An image of ``size``, width first, wholly on a canvas of its own aspect."""
    zoom = short / min(size)
    if long is not None:
        zoom = min(zoom, long / max(size))
    width, height = (max(round(side * zoom), 1) for side in size)
    return Move(geometry.scale(width / size[0], height / size[1]), (width, height))


def _check(short: int, long: int) -> None:
    if not 0 < short <= long:
        raise ValueError(f"short side {short} and long side {long} of a canvas: expected 0 < short <= long.")

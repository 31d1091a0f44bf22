"""The resize that published Salience-DETR weights were evaluated with: the size by truncation, in uint8."""

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from transforms import geometry
from transforms.move import Move
from transforms.sample import AnySample


class PublishedSize:
    """The whole image at a short side of ``short`` pixels and a long one of at most ``long``.

    Sides are truncated after a multiplication in float32, so that a short side often is one pixel less than
    ``short``: what the published numbers were measured with. ``ShortSideTransforms`` rounds.
    """

    def __init__(self, short: int = 800, long: int = 1333) -> None:
        if not 0 < short <= long:
            raise ValueError(f"short side {short} and long side {long}: expected 0 < short <= long.")
        self.short, self.long = short, long

    def __call__(self, sample: AnySample, rng: np.random.Generator) -> AnySample:
        """``rng`` is not used: evaluation is deterministic."""
        old, new = sample.size, self.size(sample.size)
        move = Move(geometry.scale(new[0] / old[0], new[1] / old[1]), new)
        return replace(
            sample.annotation_moved(move),
            image=resized(sample.image, new),
            to_source=sample.to_source @ np.linalg.inv(move.matrix),
        )

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of an image -> of its canvas; at least one pixel."""
        zoom = min(_quotient(self.short, min(size)), _quotient(self.long, max(size)))
        width, height = (max(int(np.float32(side) * zoom), 1) for side in size)
        return width, height


def _quotient(number: int, side: int) -> np.float32:
    """``number`` / ``side`` by the reciprocal, as the published code's float32 tensors divide."""
    return np.float32(1.0) / np.float32(side) * np.float32(number)


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An (H, W) or (H, W, 3) uint8 image at (width, height): bilinear with antialias, rounded to uint8."""
    planes = torch.tensor(np.atleast_3d(image)).movedim(-1, 0)[None].float()  # a copy: some are read-only
    enlarged = F.interpolate(planes, size[::-1], mode="bilinear", align_corners=False, antialias=True)
    pixels = enlarged.round().clamp(0, 255).to(torch.uint8)[0].movedim(0, -1).numpy()
    return pixels.reshape(*size[::-1], *image.shape[2:])

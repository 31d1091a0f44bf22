"""A small conditional random field: a pixel's class agrees with near pixels of like grey."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class MeanField:
    """Mean-field inference for every class against its background, over a window around each pixel.

    Kraehenbuehl & Koltun (2011) with the kernel cut to a window as Teichmann & Cipolla (2018) do. The kernel
    falls with the distance in pixels of the canvas (``reach``) and with the difference in grey (``grey``, of
    1); its weights around a pixel sum to 1. ``strength`` is by how much the logit of a pixel rises whose
    neighbours all belong to the class.

    An option, off by default: on bones it made things worse for others. What it changed is counted.
    """

    strength: float = 2.0
    reach: float = 2.0
    grey: float = 0.05
    iterations: int = 5

    def __post_init__(self) -> None:
        for name in ("strength", "reach", "grey", "iterations"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise ValueError(f"mean field {name}={getattr(self, name)}: expected a number above 0.")

    def __str__(self) -> str:
        return f"mean field {self.strength:g}"

    def __call__(self, logits: Tensor, images: Tensor) -> Tensor:
        """(B, K, H, W) logits and (B, C, H, W) images in [0, 1] of one canvas -> (B, K, H, W) logits.

        The logits are less those of the thresholds of their classes: 0 is undecided.
        """
        kernel, offsets = self._kernel(images)
        refined = logits
        for _ in range(self.iterations):
            votes = torch.zeros_like(logits)
            belief = 2.0 * refined.sigmoid() - 1.0  # -1 background, 1 class
            for weight, offset in zip(kernel, offsets, strict=True):
                votes += weight * _shifted(belief, offset)
            refined = logits + self.strength * votes
        return refined

    def _kernel(self, images: Tensor) -> tuple[Tensor, list[tuple[int, int]]]:
        """Weights (N, B, 1, H, W) of the N neighbours of every pixel, and where they are."""
        radius = max(round(2 * self.reach), 1)
        steps = range(-radius, radius + 1)
        offsets = [(dy, dx) for dy in steps for dx in steps if (dy, dx) != (0, 0)]
        inside = torch.ones_like(images[:, :1])
        weights = []
        for offset in offsets:
            difference = (_shifted(images, offset) - images).square().sum(1, keepdim=True)
            distance = (offset[0] ** 2 + offset[1] ** 2) / (2 * self.reach**2)
            near = torch.exp(-difference / (2 * self.grey**2) - distance)
            weights.append(near * _shifted(inside, offset))
        kernel = torch.stack(weights)
        return kernel / kernel.sum(0).clamp(min=1e-12), offsets


def changed_shares(before: Tensor, after: Tensor, thresholds: Sequence[float]) -> list[float]:
    """(K,) by class: pixels in only one of the two masks, as a share of those in either; 0 without any.

    before, after: (B, K, H, W) logits; thresholds: (K,) the probabilities that make masks of them.
    """
    levels = before.new_tensor(list(thresholds)).logit()[:, None, None]
    was, now = before >= levels, after >= levels
    return ((was ^ now).sum((0, 2, 3)) / (was | now).sum((0, 2, 3)).clamp(min=1)).tolist()


def _shifted(maps: Tensor, offset: tuple[int, int]) -> Tensor:
    """(..., H, W) read ``offset`` = (rows, columns) further; 0 beyond the border."""
    dy, dx = offset
    height, width = maps.shape[-2:]
    padded = F.pad(maps, (max(-dx, 0), max(dx, 0), max(-dy, 0), max(dy, 0)))
    top, left = max(dy, 0), max(dx, 0)
    return padded[..., top : top + height, left : left + width]

"""Landmark heatmaps on the fine map: dense supervision, salience, and a candidate start for every query."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.precision import full_precision


class HeatmapHead(nn.Module):
    """One channel per landmark; its softmax over the map is the probability of the landmark's place."""

    def __init__(self, embed_dim: int, num_landmarks: int) -> None:
        super().__init__()
        self.classify = nn.Conv2d(embed_dim, num_landmarks, 1, bias=False)  # a softmax ignores a bias

    def forward(self, fine: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, K, h, w) float32 logits."""
        with full_precision(fine):
            return self.classify(fine.float())


def salience_levels(logits: Tensor, sizes: list[tuple[int, int]]) -> list[Tensor]:
    """How likely a cell holds any landmark, per level: the union (maximum) of the landmark heatmaps.

    logits: (B, K, h, w). Every channel is scaled to a peak of 1, so that each landmark, however diffuse,
    claims the same share. Returns a (B, H_l, W_l) map in (0, 1] per (height, width) in ``sizes``.
    """
    peaks = logits.detach().amax((-2, -1), keepdim=True)
    union = (logits.detach() - peaks).exp().amax(1, keepdim=True)  # (B, 1, h, w)
    return [F.adaptive_max_pool2d(union, size)[:, 0] for size in sizes]


def read_peaks(logits: Tensor, radius: int = 4) -> tuple[Tensor, Tensor]:
    """Where each heatmap peaks, below the size of a cell, and how much of its probability lies there.

    logits: (B, K, h, w). The point is the expectation over the window of ``radius`` cells around the
    highest cell (local soft-argmax, the integral regression of Sun et al., 2018, kept to one mode).
    Returns points (B, K, 2) normalised and the window's probability (B, K).
    """
    height, width = logits.shape[-2:]
    flat = logits.flatten(2)
    highest = flat.argmax(-1)  # (B, K)
    reach = torch.arange(-radius, radius + 1, device=logits.device)
    column = highest.remainder(width)[..., None] + reach  # (B, K, D)
    row = highest.div(width, rounding_mode="floor")[..., None] + reach
    inside = _within(row, height)[..., :, None] & _within(column, width)[..., None, :]  # (B, K, D, D)
    index = row.clamp(0, height - 1)[..., :, None] * width + column.clamp(0, width - 1)[..., None, :]
    window = flat.gather(-1, index.flatten(-2)).masked_fill(~inside.flatten(-2), float("-inf"))
    mass = (window.logsumexp(-1) - flat.logsumexp(-1)).exp()
    weights = window.softmax(-1).unflatten(-1, inside.shape[-2:])
    x = (weights.sum(-2) * (column + 0.5)).sum(-1) / width
    y = (weights.sum(-1) * (row + 0.5)).sum(-1) / height
    return torch.stack([x, y], -1), mass


def _within(index: Tensor, size: int) -> Tensor:
    return (index >= 0) & (index < size)

"""Reading a heatmap around its highest cell. Cells are counted from 0; cell i covers [i, i + 1)."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """The first two moments of each heatmap near its peak, in cells."""

    mean: Tensor  # (B, K, 2) continuous: the centre of cell i is i + 0.5
    variance: Tensor  # (B, K, 2) along x and y


def highest_cell(maps: Tensor) -> Tensor:
    """(B, K, h, w) -> (B, K, 2) column and row of the highest cell of each map, whole numbers."""
    flat = maps.flatten(2).argmax(-1)
    width = maps.shape[-1]
    return torch.stack([flat.remainder(width), flat.div(width, rounding_mode="floor")], -1)


def read_window(maps: Tensor, cells: Tensor, radius: int) -> Tensor:
    """(B, K, D, D) values of (B, K, h, w) maps around (B, K, 2) cells, D = 2 radius + 1.

    -inf outside the map.
    """
    height, width = maps.shape[-2:]
    reach = torch.arange(-radius, radius + 1, device=maps.device)
    column, row = cells[..., :1] + reach, cells[..., 1:] + reach  # (B, K, D)
    inside = _within(row, height)[..., :, None] & _within(column, width)[..., None, :]  # (B, K, D, D)
    index = row.clamp(0, height - 1)[..., :, None] * width + column.clamp(0, width - 1)[..., None, :]
    values = maps.flatten(2).gather(-1, index.flatten(-2)).unflatten(-1, inside.shape[-2:])
    return values.masked_fill(~inside, float("-inf"))


def local_moments(log_maps: Tensor, radius: int) -> Moments:
    """Mean and variance of each (B, K, h, w) map within ``radius`` cells of its highest cell.

    The mean is the local soft-argmax: the integral regression of Sun et al. (2018), kept to one mode.
    """
    cells = highest_cell(log_maps)
    return moments_around(cells, read_window(log_maps, cells, radius))


def moments_around(cells: Tensor, window: Tensor) -> Moments:
    """Mean and variance of the softmax of (B, K, D, D) windows that were read around (B, K, 2) cells."""
    weights = window.flatten(-2).softmax(-1).unflatten(-1, window.shape[-2:])  # (B, K, D, D)
    along = torch.stack([weights.sum(-2), weights.sum(-1)], -2)  # (B, K, 2, D): x, y
    radius = window.shape[-1] // 2
    offset = torch.arange(-radius, radius + 1, device=window.device, dtype=window.dtype)
    mean = along @ offset  # (B, K, 2) from the centre of the highest cell
    variance = (along * (offset - mean[..., None]).square()).sum(-1)
    return Moments(cells + 0.5 + mean, variance)


def _within(index: Tensor, size: int) -> Tensor:
    return (index >= 0) & (index < size)

"""Sine position encodings of points and of map cells."""

import math

import torch
from torch import Tensor


def encode_points(points: Tensor, dim: int) -> Tensor:
    """(..., 2) normalised points -> (..., dim) sines and cosines, half of them for x, half for y.

    Wavelengths run geometrically from two canvases to 1/128 of one, fine enough to tell neighbouring
    pixels apart (Vaswani et al., 2017, section 3.5, with frequencies for the unit square).
    """
    quarter = dim // 4
    exponent = torch.linspace(0.0, 8.0, quarter, device=points.device)
    angles = points[..., None] * (math.pi * torch.exp2(exponent))  # (..., 2, dim / 4)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def cell_centres(height: int, width: int, device: torch.device) -> Tensor:
    """(H * W, 2) normalised centres of the cells of a map, row by row."""
    x = (torch.arange(width, device=device) + 0.5) / width
    y = (torch.arange(height, device=device) + 0.5) / height
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)


def sampling_grid(points: Tensor) -> Tensor:
    """Normalised points -> ``grid_sample`` coordinates with align_corners=False, i.e. 2 * normalised - 1."""
    return 2.0 * points - 1.0

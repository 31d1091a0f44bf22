"""Sine position encodings of points and of map cells."""

import math

import torch
from torch import Tensor


def require_width(dim: int, num_heads: int) -> None:
    """Raise ValueError unless ``dim`` holds the four parts of ``encode_points`` and as many heads."""
    if dim < 4 or dim % 4 or dim % num_heads:
        raise ValueError(
            f"embed_dim={dim} with num_heads={num_heads}: expected a multiple of 4 and of num_heads. "
            f"Change embed_dim, to {math.lcm(4, num_heads) * max(1, round(dim / math.lcm(4, num_heads)))} "
            "for instance."
        )


def encode_points(points: Tensor, dim: int) -> Tensor:
    """(..., 2) normalised points -> (..., dim) sines and cosines, half of them for x, half for y.

    Wavelengths run geometrically from two canvases to 1/128 of one, fine enough to tell neighbouring
    pixels apart (Vaswani et al., 2017, section 3.5, with frequencies for the unit square). ``dim`` is a
    multiple of 4.
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

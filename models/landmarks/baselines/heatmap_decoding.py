"""From a heatmap to a point: three ways, all (B, K, h, w) log maps -> (B, K, 2) points in cells.

A fourth, the expectation near the peak, is the mean of ``models.landmarks.heatmap_window.local_moments``.

Points are continuous (the centre of cell i is i + 0.5), which is what UDP (Huang et al., 2020) calls unbiased
coordinates: one unit is one cell at every resolution, so encoding, resizing and flipping need no shift.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from models.landmarks.heatmap_window import highest_cell, read_window

_LONGEST_STEP = 1.5  # cells: from one cell inside to the border
_DEEPEST = -60.0  # below the peak; beyond, float32 would become subnormal, which is slow


def argmax(log_maps: Tensor) -> Tensor:
    """The centre of the highest cell: off by up to half a cell along each axis."""
    return highest_cell(log_maps) + 0.5


def quarter_offset(log_maps: Tensor) -> Tensor:
    """``argmax``, moved a quarter of a cell towards the higher neighbour (Newell et al., 2016).

    Off by up to a quarter of a cell along each axis. At the map's border, where a neighbour is missing,
    there is no move along that axis.
    """
    cells = highest_cell(log_maps)
    window = read_window(log_maps, cells, 1)
    before = torch.stack([window[..., 1, 0], window[..., 0, 1]], -1)  # left, above
    after = torch.stack([window[..., 1, 2], window[..., 2, 1]], -1)  # right, below
    known = before.isfinite() & after.isfinite()
    return cells + 0.5 + torch.where(known, 0.25 * torch.sign(after - before), 0.0)


def dark(log_maps: Tensor, blur: float) -> Tensor:
    """Distribution-aware: the maximum of the parabola through the logarithm of the map (Zhang et al., 2020).

    The map is first smoothed by a Gaussian of standard deviation ``blur`` cells, since a network's map has
    more than one peak. The logarithm of a Gaussian is a parabola, so the step is exact for one. At the border
    the parabola is taken one cell inside. Where there is no maximum, the point stays at that cell's centre.
    """
    below_peak = log_maps - log_maps.amax((-2, -1), keepdim=True)
    log_smooth = _smooth(below_peak.clamp(min=_DEEPEST).exp(), blur).log()
    last = log_maps.new_tensor([log_maps.shape[-1] - 2, log_maps.shape[-2] - 2]).long()
    cells = highest_cell(log_maps).clamp(min=1).minimum(last)
    step = _parabola_step(read_window(log_smooth, cells, 1))
    return cells + 0.5 + step.clamp(-_LONGEST_STEP, _LONGEST_STEP)


def _parabola_step(window: Tensor) -> Tensor:
    """(..., 3, 3) values -> (..., 2) Newton step to the maximum of their second-order expansion, or zero."""
    dx = (window[..., 1, 2] - window[..., 1, 0]) / 2.0
    dy = (window[..., 2, 1] - window[..., 0, 1]) / 2.0
    dxx = window[..., 1, 2] - 2.0 * window[..., 1, 1] + window[..., 1, 0]
    dyy = window[..., 2, 1] - 2.0 * window[..., 1, 1] + window[..., 0, 1]
    diagonal = window[..., 2, 2] - window[..., 2, 0] - window[..., 0, 2] + window[..., 0, 0]
    dxy = diagonal / 4.0
    determinant = dxx * dyy - dxy.square()
    peaked = (determinant > 0) & (dxx < 0)
    safe = torch.where(peaked, determinant, 1.0)
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1) / safe[..., None]
    return torch.where(peaked[..., None], step, 0.0)


def _smooth(maps: Tensor, sigma: float) -> Tensor:
    """(B, K, h, w) maps convolved with a Gaussian of ``sigma`` cells; zero outside."""
    radius = math.ceil(4.0 * sigma)
    offset = torch.arange(-radius, radius + 1, device=maps.device, dtype=maps.dtype)
    kernel = (-(offset**2) / (2.0 * sigma**2)).exp()
    kernel = (kernel / kernel.sum())[None, None, None]  # (1, 1, 1, D)
    flat = maps.flatten(0, 1)[:, None]  # (B * K, 1, h, w)
    flat = F.conv2d(flat, kernel, padding=(0, radius))
    return F.conv2d(flat, kernel.mT, padding=(radius, 0)).view_as(maps)

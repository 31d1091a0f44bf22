"""Sine encodings of cells and of boxes, in the form that Salience-DETR was trained with."""

import math

import torch
from torch import Tensor

from models.boxes.pyramid import Pyramid

_TEMPERATURE = 10000.0
_EPSILON = 1e-6


def sines(values: Tensor, dim: int) -> Tensor:
    """(...) angles in radians -> (..., dim): sine at even places, cosine at odd, falling frequencies.

    Vaswani et al. (2017), section 3.5.
    """
    index = torch.arange(dim, device=values.device) // 2
    periods = _TEMPERATURE ** (2.0 * index.to(values.dtype) / dim)
    angles = values[..., None] / periods
    return torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], -1).flatten(-2)


def encode_boxes(boxes: Tensor, dim: int) -> Tensor:
    """(..., 4) centre x, centre y, width, height -> (..., 4 dim), in the order y, x, width, height."""
    return sines(boxes[..., [1, 0, 2, 3]] * (2.0 * math.pi), dim).flatten(-2)


def encode_cells(pyramid: Pyramid, dim: int) -> Tensor:
    """(B, S, dim) encodings of the tokens' places in their images, half for y and half for x.

    A count of the covered cells, as DETR (Carion et al., 2020) takes it, so padded cells have values too:
    beyond the last column the count stands still, and in a row without a covered cell it is 0. There angles
    have millions of radians, of which float32 loses what counts, so with padding they are float64.
    """
    counts = pyramid.counts[:, pyramid.level]  # (B, S, 2)
    if not pyramid.whole:
        counts = counts.double()
    columns, rows = pyramid.column.to(counts), pyramid.row.to(counts)
    in_columns, in_rows = columns < counts[..., 0], rows < counts[..., 1]
    x = _angles(columns, counts[..., 0] * in_rows)
    y = _angles(rows, counts[..., 1] * in_columns)
    return torch.cat([sines(y, dim // 2), sines(x, dim // 2)], -1)


def _angles(index: Tensor, count: Tensor) -> Tensor:
    """Places of cells ``index`` along an axis with ``count`` covered cells, in radians."""
    running = torch.minimum(index + 1.0, count)
    return (running - 0.5) / (count + _EPSILON) * (2.0 * math.pi)

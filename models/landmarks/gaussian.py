"""The Gaussian at a landmark that every model of places is trained towards."""

import torch
from torch import Tensor


def log_gaussian(centres: Tensor, length: int, sigma: float | Tensor) -> Tensor:
    """(..., length) logarithm of a Gaussian of peak 1 at each cell of an axis.

    centres: (...,) normalised along the axis; sigma in cells, one for all or a tensor that goes with
    ``centres`` with one axis more.
    """
    cells = torch.arange(length, device=centres.device, dtype=centres.dtype) + 0.5
    return -(cells - centres[..., None] * length).square() / (2.0 * sigma**2)


def log_place(points: Tensor, size: tuple[int, int], sigma: float | Tensor) -> Tensor:
    """(..., K, h, w) log-probability of place: a Gaussian of ``sigma`` cells that sums to 1 over the map.

    points: (..., K, 2) normalised; size = (h, w). The Gaussian is a product of two, so either axis is
    normalised by itself, and its distances are those of float32: not the difference of two large squares.
    """
    x = log_gaussian(points[..., 0], size[1], sigma).log_softmax(-1)  # (..., K, w)
    y = log_gaussian(points[..., 1], size[0], sigma).log_softmax(-1)  # (..., K, h)
    return y[..., :, None] + x[..., None, :]

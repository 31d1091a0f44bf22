"""What a predicted Laplace scale stands for. Written for tensors and for arrays alike; needs no PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Values = TypeVar("Values", np.ndarray, "Tensor")


def standard_deviation(scale: Values) -> Values:
    """Of a Laplace distribution of scale b: sqrt(2) b, whose square is the variance 2 b²."""
    return 2.0**0.5 * scale


def expected_radial_error(scale: Values) -> Values:
    """(..., 2) Laplace scales b along x and y, in one unit -> (...) root mean square radial error in it.

    For independent axes E[r²] is the sum of their variances, 2 b_x² + 2 b_y².
    """
    return cast("Values", (2.0 * (scale * scale).sum(-1)) ** 0.5)

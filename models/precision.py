"""Where mixed precision ends: coordinates, sampling grids, heads and losses are float32, always.

Measured on this task: bfloat16 coordinates alone cost 0.23 mm root mean square.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution, computed as the matrix product that it is.

    cuDNN rounds what a float32 convolution multiplies to the 11 bits of TF32 unless it is told not to; a
    matrix product keeps float32 unless it is told otherwise.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, out_channels, h, w)."""
        product = self.weight.flatten(1)[None] @ input.flatten(2)  # (B, out_channels, h * w)
        if self.bias is not None:
            product = product + self.bias[:, None]
        return product.unflatten(2, input.shape[2:])


def full_precision(tensor: Tensor) -> torch.autocast:
    """A context in which autocast is off on the device of ``tensor``."""
    return torch.autocast(tensor.device.type, enabled=False)


@contextmanager
def exact_inference() -> Iterator[None]:
    """Inference mode in which a GPU multiplies float32 as float32, also as a decorator.

    By default cuDNN rounds the operands of convolutions to TF32, which moves a prediction by 0.022 pixels in
    the mean and by up to 0.71 (emulated). Training, which runs in half precision where speed counts, keeps
    the default.
    """
    cudnn: Any = torch.backends.cudnn  # modules in disguise, which type checkers do not see through
    matmul: Any = torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        with torch.inference_mode():
            yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before

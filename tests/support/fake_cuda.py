"""Tensors that say they are on a GPU and hold nothing: a wrong device or type shows where there is no GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

CUDA = torch.device("cuda:0")


@contextmanager
def fake_cuda(dtype: torch.dtype | None = None) -> Iterator[None]:
    """Fake tensors, ``CUDA`` among them, under autocast to ``dtype`` as on a GPU; None: without.

    torch.autocast turns itself off where there is no GPU, so its switches are set directly.
    """
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    try:
        with FakeTensorMode():
            torch.set_autocast_enabled("cuda", dtype is not None)
            torch.set_autocast_dtype("cuda", dtype or before[1])
            yield
    finally:
        torch.set_autocast_enabled("cuda", before[0])
        torch.set_autocast_dtype("cuda", before[1])
        torch.clear_autocast_cache()


def moved(module: nn.Module) -> nn.Module:
    """``module`` with fake parameters and buffers on the GPU, inside ``fake_cuda``.

    A tensor that is neither stays where it is, as it would in ``module.to("cuda")``.
    """
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            setattr(part, name, nn.Parameter(_like(parameter), requires_grad=parameter.requires_grad))
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, _like(buffer))
    return module


def _like(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=CUDA)

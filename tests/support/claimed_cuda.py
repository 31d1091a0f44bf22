"""Tensors of the CPU that say they are on a GPU: what meets them from the CPU is an error, as it is there.

Unlike fake tensors (``tests.support.fake_cuda``) they hold numbers, for models that look at some: how many
tokens to take, which query answers for which object. There is no backward pass: autograd asks for the device.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device("cuda:0")
_CPU = torch.device("cpu")
_BETWEEN_DEVICES = ("aten::_to_copy", "aten::to", "aten::copy_")
_BY_INDEX = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")


class ClaimedTensor(Tensor):
    """``held``, of the CPU, as a tensor of the GPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType]

    @staticmethod
    def __new__(cls, inner: Tensor) -> "ClaimedTensor":
        claimed: Any = torch.Tensor._make_wrapper_subclass(  # pyright: ignore[reportAttributeAccessIssue]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=CUDA,
            requires_grad=inner.requires_grad,
        )
        claimed.held = inner.detach()
        return claimed

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _done(func, args, kwargs or {})

    def tolist(self) -> Any:
        return self.held.tolist()


class _Claiming(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _done(func, args, kwargs or {})


@contextmanager
def claimed_cuda() -> Iterator[None]:
    """Tensors asked for on ``CUDA`` are ``ClaimedTensor``; norms do not look for cuDNN."""
    start = torch.cuda._lazy_init
    torch.cuda._lazy_init = lambda: None
    lifts = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)
    torch._C._ensureCUDADeviceGuardSet()
    try:
        with torch.backends.cudnn.flags(enabled=False), _Claiming():
            yield
    finally:
        torch.cuda._lazy_init = start
        torch._C._set_only_lift_cpu_tensors(lifts)


def claimed(module: nn.Module) -> nn.Module:
    """``module`` with its parameters and buffers on the GPU; a tensor that is neither stays where it is."""
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            setattr(
                part, name, nn.Parameter(ClaimedTensor(parameter.data), requires_grad=parameter.requires_grad)
            )
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, ClaimedTensor(buffer))
    return module


def _done(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What ``func`` gives on the CPU, claimed where a GPU would have it."""
    given = tree_leaves((args, kwargs))
    ours = [one for one in given if isinstance(one, ClaimedTensor)]
    others = [one for one in given if isinstance(one, Tensor) and not isinstance(one, ClaimedTensor)]
    name = func._schema.name
    if ours and any(one.dim() for one in others) and not _may_meet(name, args, others):
        shapes = [tuple(one.shape) for one in others if one.dim()]
        raise RuntimeError(f"{name}: tensors on another device, the CPU: {shapes}")
    devices = [one for one in given if isinstance(one, torch.device)]
    on_gpu = devices[0].type == "cuda" if devices else bool(ours)
    with torch.no_grad():
        done = func(*tree_map(_plain, args), **tree_map(_plain, kwargs))
    if func._schema.is_mutable and name.endswith("_"):
        return args[0]
    return tree_map(lambda one: ClaimedTensor(one) if on_gpu and isinstance(one, Tensor) else one, done)


def _may_meet(name: str, args: Any, others: list[Tensor]) -> bool:
    """Whether the CPU's tensors may be there: in copies, and as whole numbers that index one of the GPU."""
    indexed = name in _BY_INDEX and isinstance(args[0], ClaimedTensor)
    return name in _BETWEEN_DEVICES or (indexed and not any(one.is_floating_point() for one in others))


def _plain(value: Any) -> Any:
    if isinstance(value, ClaimedTensor):
        return value.held
    return _CPU if isinstance(value, torch.device) else value

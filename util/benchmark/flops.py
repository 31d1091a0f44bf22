"""Floating-point operations of a model and of its parts, counted by fvcore on a trace of one forward pass."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # fvcore's losses use the deprecated torch.jit.script
    from fvcore.nn import FlopCountAnalysis, jit_handles

Handle = Callable[[list[Any], list[Any]], Any]


@dataclass(frozen=True)
class FlopCount:
    """What one call of a model computes. A multiply-add is two operations."""

    total: float
    parts: dict[str, float]  # of every named child; "other" is what the model computes itself
    uncounted: dict[str, int]  # how often each operator without a formula ran


def count_flops(model: nn.Module, images: Tensor) -> FlopCount:
    """Operations of ``model(images)`` in full precision.

    Convolutions, matrix products, attention, bilinear sampling, resizing, pooling to averages and norms are
    counted. fvcore takes moving data, comparing and rectifying for no operation; what else has no formula
    (additions, exponentials, softmax, sorting ...) is named in ``uncounted``.
    """
    mha_fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # fused attention would be one uncounted operator
    try:
        with torch.no_grad():
            analysis = FlopCountAnalysis(_TensorsOut(model), images).set_op_handle(**_HANDLES)
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            by_module = analysis.by_module()
    finally:
        torch.backends.mha.set_fastpath_enabled(mha_fast_path)
    parts = {name: float(by_module[f"model.{name}"]) for name, _ in model.named_children()}
    total = float(by_module[""])
    uncounted = {name.removeprefix("aten::"): n for name, n in sorted(analysis.unsupported_ops().items())}
    return FlopCount(total, {**parts, "other": total - sum(parts.values())}, uncounted)


class _TensorsOut(nn.Module):
    """``model`` with all tensors of its output in one tuple: a trace knows no dataclasses, and drops what
    no output depends on."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(_tensors(self.model(images)))


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif is_dataclass(output):
        for field in fields(output):
            yield from _tensors(getattr(output, field.name))
    elif isinstance(output, Mapping | list | tuple):
        for item in output.values() if isinstance(output, Mapping) else output:
            yield from _tensors(item)


def _twice(handle: Handle) -> Handle:
    """fvcore counts a multiply-add once."""

    def count(inputs: list[Any], outputs: list[Any]) -> float:
        found = handle(inputs, outputs)
        return 2.0 * (sum(found.values()) if isinstance(found, Mapping) else found)

    return count


def _attention(inputs: list[Any], outputs: list[Any]) -> float:
    """Multiply-adds of q k^T and of its product with v: (..., Q, D), (..., N, D) and (..., N, E)."""
    shapes = [jit_handles.get_shape(tensor) or [] for tensor in inputs[:3]]
    (*batch, length, dim), (*_, count, _), (*_, out_dim) = shapes
    return float(math.prod(batch) * length * count * (dim + out_dim))


def _matmul(inputs: list[Any], outputs: list[Any]) -> float:
    """Multiply-adds of (..., M, N) @ (..., N, O), vectors too (fvcore's formula takes matrices only)."""
    left, product = (jit_handles.get_shape(tensor) or [] for tensor in (inputs[0], outputs[0]))
    return float(math.prod(product) * left[-1])


def _baddbmm(inputs: list[Any], outputs: list[Any]) -> float:
    return _matmul(inputs[1:], outputs)


def _embedding_bag(inputs: list[Any], outputs: list[Any]) -> float:
    """Multiply-adds of the weighted sums of rows of a (N, D) table that (B, K) indices pick."""
    table, index = (jit_handles.get_shape(tensor) or [] for tensor in inputs[:2])
    return float(math.prod(index) * table[-1])


_FOUR_NEIGHBOURS = jit_handles.elementwise_flop_counter(0, 4)  # of every output element, weighted and added
_VIEWS = ("aten::mT", "aten::meshgrid", "aten::unflatten")  # move data only, which fvcore does not know
_HANDLES: dict[str, Handle | None] = dict.fromkeys(_VIEWS) | {
    name: _twice(handle)
    for name, handle in {
        "aten::_convolution": jit_handles.conv_flop_jit,
        "aten::addmm": jit_handles.addmm_flop_jit,
        "aten::baddbmm": _baddbmm,
        "aten::bmm": _matmul,
        "aten::einsum": jit_handles.einsum_flop_jit,
        "aten::embedding_bag": _embedding_bag,
        "aten::grid_sampler": _FOUR_NEIGHBOURS,
        "aten::linear": jit_handles.linear_flop_jit,
        "aten::matmul": _matmul,
        "aten::mm": _matmul,
        "aten::scaled_dot_product_attention": _attention,
        "aten::upsample_bilinear2d": _FOUR_NEIGHBOURS,
    }.items()
}

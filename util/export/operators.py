"""ONNX for the operators that PyTorch's exporter cannot translate, or not well."""

from typing import Any

import numpy as np
import onnx_ir
import torch
from onnxscript import opset18

import models.boxes.suppression  # noqa: F401 (registers an operator of our own)

op: Any = opset18  # typed for calls on arrays; what is used here is the same in every later opset


def pool_windows(size: int, count: int) -> np.ndarray:
    """(count, longest) int64: the cells of each of ``count`` adaptive windows over ``size`` cells.

    Window i covers [floor(i * size / count), ceil((i + 1) * size / count)), as in PyTorch; shorter windows
    repeat their last cell.
    """
    window = np.arange(count)
    first, last = window * size // count, -(-(window + 1) * size // count) - 1
    longest = int((last - first).max()) + 1
    return np.minimum(first[:, None] + np.arange(longest), last[:, None])


def _adaptive_max_pool2d(images: Any, output_size: tuple[int, int]) -> tuple[Any, Any]:
    """Maxima over windows of rows, then of columns; where they were, the second result, is not computed."""
    windows = [
        pool_windows(int(side), count) for side, count in zip(images.shape[2:], output_size, strict=True)
    ]
    rows, columns = (op.Constant(value=onnx_ir.tensor(window)) for window in windows)
    by_rows = op.ReduceMax(op.Gather(images, rows, axis=2), [3], keepdims=0)
    pooled = op.ReduceMax(op.Gather(by_rows, columns, axis=3), [4], keepdims=0)
    return pooled, pooled


def _stable_sort(values: Any, *, stable: bool, dim: int = -1, descending: bool = False) -> tuple[Any, Any]:
    """ONNX's TopK puts the lower index first among equals, so the whole of it is a stable sort."""
    count = op.Constant(value_ints=[int(values.shape[dim])])
    return op.TopK(values, count, axis=dim, largest=int(descending), sorted=1)


def _logsumexp(values: Any, dim: list[int], keepdim: bool = False) -> Any:
    """Step by step: ONNX Runtime's ReduceLogSumExp adds one by one and loses four digits on a heatmap."""
    peak = op.ReduceMax(values, dim, keepdims=1)
    result = op.Add(op.Log(op.ReduceSum(op.Exp(op.Sub(values, peak)), dim, keepdims=1)), peak)
    return result if keepdim else op.Squeeze(result, dim)


def _stays(boxes: Any, overlap: float) -> Any:
    """Boxes (B, N, 4) stand best first, so falling scores are made up, and what is selected is marked."""
    count = int(boxes.shape[1])
    falling = op.Constant(value=onnx_ir.tensor(-np.arange(count, dtype=np.float32)[None, None]))
    batch = op.Shape(boxes, start=0, end=1)
    one, all_of_them = op.Constant(value_ints=[1]), op.Constant(value_ints=[count])
    scores = op.Expand(falling, op.Concat(batch, one, all_of_them, axis=0))  # (B, 1, N)
    threshold = op.Constant(value_floats=[overlap])
    selected = op.NonMaxSuppression(boxes, scores, all_of_them, threshold)  # (n, 3): image, class, box
    places = op.Gather(selected, op.Constant(value_ints=[0, 2]), axis=1)
    marks = op.Expand(op.Constant(value_floats=[1.0]), op.Shape(places, start=0, end=1))
    none = op.Expand(op.Constant(value_floats=[0.0]), op.Concat(batch, all_of_them, axis=0))
    return op.Cast(op.ScatterND(none, places, marks), to=onnx_ir.DataType.BOOL)


TRANSLATIONS = {
    torch.ops.aten.adaptive_max_pool2d.default: _adaptive_max_pool2d,
    torch.ops.aten.logsumexp.default: _logsumexp,
    torch.ops.aten.sort.stable: _stable_sort,
    torch.ops.cephdetr.stays.default: _stays,
}

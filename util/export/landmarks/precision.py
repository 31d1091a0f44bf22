"""Lower precision for exported models, in the parts that describe the image; coordinates stay float32."""

import copy
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor, nn

_PARTS = ("backbone", "trunk", "neck")  # what describes the image; heads, heatmaps and points come after
_SCOPES = "pkg.torch.onnx.name_scopes"  # where PyTorch's exporter notes the module that a node comes from


class HalfPart(nn.Module):
    """A part of a model in float16 between float32 neighbours."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part.half()

    def forward(self, inputs: Any) -> Any:
        return _cast(self.part(_cast(inputs, torch.float16)), torch.float32)


def halved(model: nn.Module) -> nn.Module:
    """A copy of ``model`` that describes the image in float16.

    Raises ValueError for a model without a part that does only that.
    """
    half = copy.deepcopy(model)
    for name in _parts(model):
        setattr(half, name, HalfPart(getattr(half, name)))
    return half


def quantised(
    graph: onnx.ModelProto, model: nn.Module, feeds: Iterable[dict[str, np.ndarray]]
) -> onnx.ModelProto:
    """``graph`` of ``model`` with the convolutions that describe the image in int8, but for the first.

    The first reads the grey values themselves: little work, and 8 bits are felt most there. Static: the
    activations range over what they reach on ``feeds``. Weights have a scale per output channel and 7 bits,
    because x86 processors without VNNI saturate at 8. Raises ValueError for a model without a part that only
    describes the image.
    """
    parts = _parts(model)
    own = onnx.ModelProto()
    own.CopyFrom(graph)  # the quantiser moves the weights of what it is given into temporary files
    chosen = [node.name for node in graph.graph.node if node.op_type == "Conv" and _is_in(node, parts)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "int8.onnx"
        quantize_static(
            own,
            file,
            _Feeds(feeds),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_quantize=chosen[1:],
        )
        return onnx.load(file)


class _Feeds(CalibrationDataReader):
    def __init__(self, feeds: Iterable[dict[str, np.ndarray]]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return next(self._left, None)


def _parts(model: nn.Module) -> list[str]:
    names = [name for name, _ in model.named_children()]
    if found := [name for name in names if name in _PARTS]:
        return found
    raise ValueError(
        f"{type(model).__name__} has the parts {names}, expected one of {_PARTS}: only what describes the "
        "image may lose precision. Export in fp32."
    )


def _is_in(node: onnx.NodeProto, parts: Sequence[str]) -> bool:
    scopes = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "")
    return any(f"'model.{part}'" in scopes for part in parts)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """Every tensor of a tensor, sequence or dataclass as ``dtype``."""
    if isinstance(value, Tensor):
        return value.to(dtype)
    if isinstance(value, list | tuple):
        return type(value)(_cast(item, dtype) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(
            **{field.name: _cast(getattr(value, field.name), dtype) for field in fields(value)}
        )
    return value

"""A module as an ONNX graph: how PyTorch's exporter is asked, the same for every task."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import onnx

OPSETS = range(18, 24)  # what PyTorch's exporter writes and ONNX Runtime reads
EXAMPLE_BATCH = 2  # a dynamic batch must not be shown a batch of 1, which would be taken for a constant


@contextmanager
def advice_unheard() -> Iterator[None]:
    """Meanwhile no library's log says how to export better: the result is verified."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def batch_of(name: str, *, dynamic: bool) -> dict[str, Any] | None:
    """That the first axis of input ``name`` may have any length, where the graph is ``dynamic``."""
    return {name: {0: torch.export.Dim("batch", min=1)}} if dynamic else None


def exported_program(
    graph: nn.Module,
    example: Tensor,
    *,
    opset: int,
    names: tuple[str, Sequence[str]],
    shapes: Mapping[str, Any] | None,
    translations: Mapping[Any, Any] | None = None,
) -> onnx.ModelProto:
    """``graph`` in evaluation mode on inputs like ``example``, float32, weights inside.

    ``names``: of the input, and of the outputs. ``shapes``: axes that may have any length.
    ``translations``: ONNX for operators that the exporter does not know, or not well.
    """
    name, outputs = names
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the insides of the exporter; what matters is verified
        program = torch.onnx.export(
            graph.eval(),
            (example,),
            dynamo=True,
            external_data=False,
            verbose=False,
            opset_version=opset,
            input_names=[name],
            output_names=list(outputs),
            dynamic_shapes=None if shapes is None else dict(shapes),
            custom_translation_table=None if translations is None else dict(translations),
        )
    if program is None:
        raise RuntimeError("torch.onnx.export(dynamo=True) returned no program")
    return program.model_proto

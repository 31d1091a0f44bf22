"""A detector as one ONNX graph: images in, detections out."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from util.export.boxes.facts import INPUT, OUTPUTS
from util.export.operators import TRANSLATIONS

if TYPE_CHECKING:
    import onnx

OPSETS = range(20, 24)  # from the one on whose bilinear sampling is PyTorch's
_EXAMPLE_BATCH = 2  # a dynamic batch must not be shown a batch of 1, which would be taken for a constant


class DetectionGraph(nn.Module):
    """A detector reduced to what users see, on images that fill their canvas."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C, H, W) images in [0, 1] -> boxes (B, D, 4) in pixels, scores and labels (B, D)."""
        final = self.model(images).final
        return final.boxes.float(), final.scores.float(), final.labels


def export_graph(
    graph: DetectionGraph, channels: int, size: tuple[int, int], *, opset: int, dynamic: bool
) -> onnx.ModelProto:
    """``graph`` on a (height, width) canvas, float32, weights inside; ``dynamic``: any batch size.

    Height and width are fixed: how many tokens the encoder keeps of a level follows from them.
    """
    shapes = {INPUT: {0: torch.export.Dim("batch", min=1)}} if dynamic else None
    images = torch.zeros(_EXAMPLE_BATCH if dynamic else 1, channels, *size)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the insides of the exporter; what matters is verified
        program = torch.onnx.export(
            graph.eval(),
            (images,),
            dynamo=True,
            external_data=False,
            verbose=False,
            opset_version=opset,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_shapes=shapes,
            custom_translation_table=TRANSLATIONS,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export(dynamo=True) returned no program")
    return program.model_proto

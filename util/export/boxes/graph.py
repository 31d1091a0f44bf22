"""A detector as one ONNX graph: images in, detections out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from util.export.boxes.facts import INPUT, OUTPUTS
from util.export.operators import TRANSLATIONS
from util.export.program import EXAMPLE_BATCH, batch_of, exported_program

if TYPE_CHECKING:
    import onnx

OPSETS = range(20, 24)  # from the one on whose bilinear sampling is PyTorch's


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
    return exported_program(
        graph,
        torch.zeros(EXAMPLE_BATCH if dynamic else 1, channels, *size),
        opset=opset,
        names=(INPUT, OUTPUTS),
        shapes=batch_of(INPUT, dynamic=dynamic),
        translations=TRANSLATIONS,
    )

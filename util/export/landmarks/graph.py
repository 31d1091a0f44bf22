"""A landmark model as one ONNX graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from util.export.landmarks.letterbox import RawLandmarks
from util.export.landmarks.metadata import INPUT, OUTPUTS, RAW_INPUT, OnnxMetadata
from util.export.operators import TRANSLATIONS
from util.export.program import EXAMPLE_BATCH, OPSETS, batch_of, exported_program

if TYPE_CHECKING:
    import onnx

_EXAMPLE_IMAGE = (300, 250)


class Landmarks(nn.Module):
    """A landmark model reduced to what users see: points and scales of the last stage."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) images in [0, 1] -> points (B, K, 2) and Laplace scales (B, K, 2), normalised."""
        final = self.model(images).final
        return final.points.float(), final.scale.float()


@dataclass(frozen=True)
class GraphOptions:
    """What kind of graph is asked for. Raises ValueError for an opset that cannot be written."""

    opset: int = 20
    dynamic: bool = False  # any batch size; otherwise 1
    raw: bool = False  # one uint8 image of any size; otherwise letterboxed float images

    def __post_init__(self) -> None:
        if self.opset not in OPSETS:
            raise ValueError(f"opset {self.opset}: expected {OPSETS.start} to {OPSETS.stop - 1}.")
        if self.raw and self.dynamic:
            raise ValueError("a raw graph takes one image at a time: leave out --dynamic or --raw.")


def export_graph(model: nn.Module, size: tuple[int, int], options: GraphOptions) -> onnx.ModelProto:
    """The graph of ``model`` in evaluation mode on a (height, width) canvas, float32, weights inside.

    Height and width are fixed: how many tokens the encoder keeps per level follows from them.
    """
    if options.raw:
        graph: nn.Module = RawLandmarks(Landmarks(model), size)
        example = torch.zeros(_EXAMPLE_IMAGE, dtype=torch.uint8)
        sides = {0: torch.export.Dim("height", min=2), 1: torch.export.Dim("width", min=2)}
        name, shapes = RAW_INPUT, {RAW_INPUT: sides}
    else:
        graph = Landmarks(model)
        example = torch.zeros(EXAMPLE_BATCH if options.dynamic else 1, 1, *size)
        name, shapes = INPUT, batch_of(INPUT, dynamic=options.dynamic)
    return exported_program(
        graph,
        example,
        opset=options.opset,
        names=(name, OUTPUTS),
        shapes=shapes,
        translations=TRANSLATIONS,
    )


def with_metadata(graph: onnx.ModelProto, metadata: OnnxMetadata) -> bytes:
    """The file: ``graph`` with its metadata in it."""
    import onnx

    onnx.helper.set_model_props(graph, metadata.to_properties())
    graph.producer_name = "CephDETR"
    return graph.SerializeToString()

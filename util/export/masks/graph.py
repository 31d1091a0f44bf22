"""A mask model as one ONNX graph: small float maps, or bytes as large as the canvas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from datasets.masks.class_set import ClassSet
from models.masks.mask_model import MaskModel, enlarged
from util.export.program import EXAMPLE_BATCH, batch_of, exported_program

if TYPE_CHECKING:
    import onnx

INPUT, LOGITS, SHARES = "images", "logits", "probabilities"
FORMAT = "cephdetr-masks-1"
_TASK = "tasks.masks:MaskTask"


class SmallMaps(nn.Module):
    """A mask model reduced to its maps, as small as it makes them, and to the attributes that have names."""

    maps: ClassVar[str] = LOGITS  # name of the first output

    def __init__(self, model: MaskModel, attributes: Sequence[str]) -> None:
        super().__init__()
        self.model, self.attributes = model, tuple(attributes)

    @property
    def outputs(self) -> list[str]:
        """Their names: the maps, and every attribute."""
        return [self.maps, *(f"attribute {name}" for name in self.attributes)]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, C, H, W) images in [0, 1] -> (B, K, H / stride, W / stride) float32 logits, and (B, V) logits
        of the values of each attribute.
        """
        found = self.model(images)
        return self.shown(found.logits.float(), images), *found.attributes[: len(self.attributes)]

    def shown(self, logits: Tensor, images: Tensor) -> Tensor:
        """The maps as they go out."""
        return logits


class ByteMaps(SmallMaps):
    """The maps as probabilities on the whole canvas, a byte each: a quarter of the memory of floats."""

    maps: ClassVar[str] = SHARES

    def shown(self, logits: Tensor, images: Tensor) -> Tensor:
        """(B, K, H, W) uint8, 255 times the probability, rounded."""
        probabilities = enlarged(logits, images.shape[-2:]).sigmoid()
        return (probabilities * 255.0 + 0.5).to(torch.uint8)


@dataclass(frozen=True)
class MaskGraphFacts:
    """What an exported mask model says of itself."""

    mask_classes: ClassSet
    labels: str
    size: tuple[int, int]  # (height, width) of the canvas
    channels: int  # of the images: 1 grey, 3 RGB
    thresholds: tuple[float, ...]  # (K,) probabilities from which a pixel belongs to its class
    stride: int  # canvas pixels a cell of the maps; 1 for bytes
    bytes_out: bool
    checkpoint: str

    def to_properties(self) -> dict[str, str]:
        """Key and text, as ONNX keeps them: text as it is, everything else as JSON."""
        values: dict[str, Any] = asdict(self) | {"mask_classes": self.mask_classes.to_dict()}
        texts = {
            "format": FORMAT,
            "task": _TASK,
            "input": f"{INPUT}: (B, C, H, W) float32 in [0, 1], letterboxed",
            "output": f"{SHARES}: (B, K, H, W) uint8, 255 times the probability of each class"
            if self.bytes_out
            else f"{LOGITS}: (B, K, H / stride, W / stride) float32; enlarge bilinearly "
            "(align_corners=False), then sigmoid",
        }
        return texts | {key: json.dumps(value) for key, value in values.items()}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], file: Path) -> MaskGraphFacts:
        """Raises ValueError naming ``file`` when the properties are not those of an exported mask model."""
        try:
            if properties.get("format") != FORMAT:
                raise ValueError(f"format {properties.get('format')!r}, expected {FORMAT!r}")
            values = {key: json.loads(properties[key]) for key in cls.__dataclass_fields__}
            values["mask_classes"] = ClassSet.from_dict(values["mask_classes"], str(file))
            values["size"] = (int(values["size"][0]), int(values["size"][1]))
            values["thresholds"] = tuple(map(float, values["thresholds"]))
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ValueError(
                f"{file}: its metadata are not those of a mask model ({error}). "
                "Export it with tools/pytorch2onnx.py."
            ) from error
        return cls(**values)


def export_graph(graph: SmallMaps, example: Tensor, *, opset: int, dynamic: bool) -> onnx.ModelProto:
    """``graph`` on images like ``example`` (1, C, H, W), float32, weights inside; ``dynamic``: any batch."""
    images = example.expand(EXAMPLE_BATCH, -1, -1, -1) if dynamic else example
    return exported_program(
        graph,
        images.contiguous(),
        opset=opset,
        names=(INPUT, graph.outputs),
        shapes=batch_of(INPUT, dynamic=dynamic),
    )

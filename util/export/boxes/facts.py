"""What an exported detector says of itself: all that inference needs beside the graph. No PyTorch here."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets.boxes.class_set import BoxClasses

INPUT, OUTPUTS = "images", ("boxes", "scores", "labels")
FORMAT = "cephdetr-boxes-1"
_TASK = "tasks.boxes:BoxTask"
_TEXTS = {
    "input": f"{INPUT}: (B, C, height, width) float32 in [0, 1], letterboxed; normalised inside",
    "output": "boxes: (B, D, 4) float32 left, top, right, bottom in canvas pixels, continuous; scores: "
    "(B, D) float32, falling; labels: (B, D) int64, places in box_classes.names",
    "letterbox": "canvas = zoom * source, zoom = min(canvas width / source width, canvas height / source "
    "height), centred, fill 0; where zoom < 1 first a Gaussian blur of 0.5 * sqrt(1 / zoom^2 - 1) source "
    "pixels; bilinear",
}


@dataclass(frozen=True)
class BoxGraphFacts:
    """The metadata of an exported detector."""

    box_classes: BoxClasses
    size: tuple[int, int]  # (height, width) of the canvas
    channels: int  # of the images: 1 grey, 3 RGB
    checkpoint: str  # where the weights come from

    def to_properties(self) -> dict[str, str]:
        """Key and text, as ONNX keeps them: text as it is, everything else as JSON."""
        values: dict[str, Any] = asdict(self) | {"box_classes": self.box_classes.to_dict()}
        texts = {"format": FORMAT, "task": _TASK} | _TEXTS
        return texts | {key: json.dumps(value) for key, value in values.items()}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], file: Path) -> "BoxGraphFacts":
        """Raises ValueError naming ``file`` when the properties are not those of an exported detector."""
        try:
            if properties.get("format") != FORMAT:
                raise ValueError(f"format {properties.get('format')!r}, expected {FORMAT!r}")
            values = {key: json.loads(properties[key]) for key in cls.__dataclass_fields__}
            values["box_classes"] = BoxClasses.from_dict(values["box_classes"], str(file))
            values["size"] = (int(values["size"][0]), int(values["size"][1]))
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ValueError(
                f"{file}: its metadata are not those of a detector ({error}). "
                "Export it with tools/pytorch2onnx.py."
            ) from error
        return cls(**values)

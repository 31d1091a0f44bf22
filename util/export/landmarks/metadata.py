"""What an exported model says about itself: all that inference needs beside the graph. No PyTorch here."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets.landmarks.landmark_set import LandmarkSet

FORMAT = "cephdetr-onnx-1"
_TASK = "tasks.landmarks:LandmarkTask"
INPUT, OUTPUTS = "images", ("points", "scales")
RAW_INPUT = "image"

_CANVAS = {
    "input": "images: (B, 1, height, width) float32 in [0, 1], grey, letterboxed; normalised inside",
    "output": (
        "points: (B, K, 2) float32 (x, y) as shares of the canvas, which spans [0, 1]; "
        "scales: (B, K, 2) Laplace scale b per axis, same unit"
    ),
}
_RAW = {
    "input": "image: (H, W) uint8, grey, any size",
    "output": (
        "points: (K, 2) float32 (x, y) in pixels of the image, continuous: pixel i covers [i, i + 1), "
        "subtract 0.5 for coordinates that count pixel centres; scales: (K, 2) Laplace scale b, same unit"
    ),
}
_CONVENTIONS = {
    "letterbox": (
        "canvas = zoom * source, zoom = min(canvas width / source width, canvas height / source height), "
        "centred, fill 0; where zoom < 1 first a Gaussian blur of 0.5 * sqrt(1 / zoom^2 - 1) source pixels; "
        "bilinear; all in continuous coordinates"
    ),
    "spacing": "none in the graph: mm = source pixels * mm per source pixel, per axis",
}
_ABSENT_IN_OLDER = {"plausibility": "null", "landmark_shapes": "null"}


@dataclass(frozen=True)
class OnnxMetadata:
    """The metadata of an exported model."""

    landmark_set: LandmarkSet
    labels: str  # which annotations the model learnt from
    size: tuple[int, int]  # (height, width) of the canvas
    mean: float | None  # what the graph subtracts from images in [0, 1], and divides by; None: otherwise
    std: float | None
    precision: str  # fp32, fp16 or int8
    raw: bool  # the graph takes an image of any size and answers in its pixels
    checkpoint: str  # where the weights come from
    commit: str | None  # of the code that exported
    plausibility: dict[str, Any] | None = None  # ``Limits.to_dict()``; None in older files, too
    landmark_shapes: dict[str, Any] | None = None  # ``LandmarkShapes.to_dict()``; None in older files, too

    def to_properties(self) -> dict[str, str]:
        """Key and text, as ONNX keeps them: text as it is, everything else as JSON."""
        values: dict[str, Any] = asdict(self) | {"landmark_set": self.landmark_set.to_dict()}
        texts = {"format": FORMAT, "task": _TASK} | (_RAW if self.raw else _CANVAS) | _CONVENTIONS
        return texts | {key: json.dumps(value) for key, value in values.items()}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], file: Path) -> "OnnxMetadata":
        """Raises ValueError naming ``file`` when the properties are not those of an exported model."""
        try:
            if properties.get("format") != FORMAT:
                raise ValueError(f"format {properties.get('format')!r}, expected {FORMAT!r}")
            texts = {**_ABSENT_IN_OLDER, **properties}
            values = {key: json.loads(texts[key]) for key in cls.__dataclass_fields__}
            values["landmark_set"] = LandmarkSet.from_dict(values["landmark_set"], source=str(file))
            values["size"] = (int(values["size"][0]), int(values["size"][1]))
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ValueError(
                f"{file}: its metadata are not those of a landmark model ({error}). "
                "Export it with tools/pytorch2onnx.py."
            ) from error
        return cls(**values)

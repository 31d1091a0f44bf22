"""From an image as it was read to the sample a detector is given, and what it finds as records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets.boxes.class_set import BoxClasses
from datasets.boxes.sample import BoxSample
from datasets.files.colour import as_colour, as_grey, read_picture
from datasets.files.image_files import SourceImage, read_deep_rgb
from datasets.files.kinds import Kind, kind_of
from util.evaluation.boxes.box_results import source_detections
from util.files import printable


@dataclass(frozen=True)
class FoundBoxes:
    """D detections of one image by falling score, boxes clipped, in its own pixels."""

    boxes: np.ndarray  # (D, 4) float32, left, top, right, bottom
    scores: np.ndarray  # (D,) float32
    labels: np.ndarray  # (D,) int64


def found_boxes(found: Sequence[np.ndarray], samples: Sequence[BoxSample]) -> list[FoundBoxes]:
    """Detections of a batch of canvases, boxes (B, D, 4), scores and labels (B, D), in the sources' pixels.

    Raises ValueError when one is not finite.
    """
    return [
        FoundBoxes(
            *source_detections(boxes, scores, labels, sample.to_source, sample.source_size, sample.case)
        )
        for boxes, scores, labels, sample in zip(*found, samples, strict=True)
    ]


def source_sample(image: SourceImage, classes: BoxClasses, *, colour: bool) -> BoxSample:
    """``image`` as a case without objects; ``colour``: as RGB, grey three times where it has none."""
    pixels = as_colour(colour_pixels(image)) if colour else _grey_pixels(image)
    return BoxSample(
        image=pixels,
        spacing=image.spacing,
        to_source=np.eye(3),
        case=image.file.name if image.slice is None else f"{image.file.name} slice {image.slice}",
        classes=classes,
        boxes=np.zeros((0, 4)),
        labels=np.zeros(0, np.int64),
        ignored=np.zeros(0, bool),
        source_boxes=np.zeros((0, 4)),
        areas=np.zeros(0),
        source_size=(pixels.shape[1], pixels.shape[0]),
    )


def colour_pixels(image: SourceImage) -> np.ndarray:
    """(H, W, 3) RGB of a colour picture, which is read again, and the (H, W) grey image of anything else."""
    if image.slice is not None or not image.file.is_file():
        return image.image
    picture = read_picture(image.file, image.image.shape[1::-1])
    return picture if picture.ndim == 3 and picture.shape[:2] == image.image.shape else image.image


def _grey_pixels(image: SourceImage) -> np.ndarray:
    """(H, W) grey; of colours beyond 8 bits, stretched together as training reads them, and not apart."""
    if image.slice is not None or not image.file.is_file() or kind_of(image.file) is not Kind.PICTURE:
        return image.image
    deep = read_deep_rgb(image.file)
    return image.image if deep is None else as_grey(deep)


def box_record(image: SourceImage, found: FoundBoxes, classes: BoxClasses) -> dict[str, Any]:
    """One image as JSON: where it comes from and its detections, without its pixels.

    bbox: left, top, width, height in source pixels, continuous, as COCO has it; width_mm and height_mm are
    None where the spacing is unknown.
    """
    known = bool(np.isfinite(image.spacing).all())
    return {
        "file": printable(image.file),
        "slice": image.slice,
        "image_id": image_id(image),
        "width": image.image.shape[1],
        "height": image.image.shape[0],
        "spacing_mm": image.spacing.tolist() if known else None,
        "spacing_source": image.spacing_source,
        "boxes": [
            _box(box, float(score), int(label), classes, image.spacing if known else None)
            for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True)
        ],
    }


def image_id(image: SourceImage) -> int | str:
    """The number that is the file's name, as COCO names its images, or else the name itself."""
    if image.slice is not None:
        return f"{image.file.name}:{image.slice}"
    stem = image.file.stem
    return int(stem) if stem.isascii() and stem.isdecimal() else image.file.name


def _box(
    box: np.ndarray, score: float, label: int, classes: BoxClasses, spacing: np.ndarray | None
) -> dict[str, Any]:
    left, top, right, bottom = map(float, box)
    width, height = right - left, bottom - top
    return {
        "category_id": classes.ids[label],
        "name": classes.names[label],
        "score": score,
        "bbox": [left, top, width, height],
        "width_mm": None if spacing is None else width * float(spacing[0]),
        "height_mm": None if spacing is None else height * float(spacing[1]),
    }

"""What an evaluation keeps of the images it has seen: detections and truth in source pixels, no image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets.boxes.geometry import clip, warp_boxes


@dataclass(frozen=True)
class ImageBoxes:
    """D detections and N objects of one image; boxes are left, top, right, bottom in its source pixels."""

    case: str
    size: tuple[int, int]  # (width, height) of the source image
    boxes: np.ndarray  # (D, 4) float32
    scores: np.ndarray  # (D,) float32 in (0, 1], falling
    labels: np.ndarray  # (D,) int64
    true_boxes: np.ndarray  # (N, 4) float64
    true_labels: np.ndarray  # (N,) int64
    ignored: np.ndarray  # (N,) bool: crowd or difficult, which a detection may or may not find
    areas: np.ndarray  # (N,) float64, pixels: of the outline where the source has one

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready and exact: ``from_dict`` gives the same numbers again."""
        found = zip(self.boxes, self.scores, self.labels, strict=True)
        truth = zip(self.true_boxes, self.true_labels, self.ignored, self.areas, strict=True)
        return {
            "case": self.case,
            "size": list(self.size),
            "detections": [[*_short(box), *_short([score]), int(label)] for box, score, label in found],
            "truth": [
                [*map(float, box), int(label), int(ignored), float(area)]
                for box, label, ignored, area in truth
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ImageBoxes":
        found = np.array(data["detections"], np.float64).reshape(-1, 6)
        truth = np.array(data["truth"], np.float64).reshape(-1, 7)
        return cls(
            case=str(data["case"]),
            size=(int(data["size"][0]), int(data["size"][1])),
            boxes=found[:, :4].astype(np.float32),
            scores=found[:, 4].astype(np.float32),
            labels=found[:, 5].astype(np.int64),
            true_boxes=truth[:, :4],
            true_labels=truth[:, 4].astype(np.int64),
            ignored=truth[:, 5].astype(bool),
            areas=truth[:, 6],
        )


@dataclass(frozen=True)
class BoxResults:
    """The images of an evaluation, in order."""

    images: tuple[ImageBoxes, ...]

    @property
    def cases(self) -> tuple[str, ...]:
        return tuple(image.case for image in self.images)


class BoxEvaluator:
    """Collects what a detector finds on batches (``datasets.boxes.batch``).

    ``outputs.final`` has boxes (B, D, 4) in canvas pixels, scores (B, D) and labels (B, D); a score of 0 is
    no detection.
    """

    def __init__(self) -> None:
        self._images: list[ImageBoxes] = []

    def update(self, outputs: Any, batch: Any) -> None:
        """Raises ValueError for a detection that is not finite."""
        final = outputs.final
        arrays = [
            tensor.detach().cpu().numpy() for tensor in (final.boxes, final.scores.float(), final.labels)
        ]
        to_source, sizes = batch.to_source.cpu().numpy(), batch.source_sizes.cpu().numpy()
        for row, case in enumerate(batch.cases):
            boxes, scores, labels = (array[row] for array in arrays)
            size = int(sizes[row, 0]), int(sizes[row, 1])
            found = source_detections(boxes, scores, labels, to_source[row], size, case)
            target = {name: values.cpu().numpy() for name, values in batch.targets[row].items()}
            truth = {
                "true_boxes": target["source_boxes"],
                "true_labels": target["labels"],
                "ignored": target["ignored"],
                "areas": target["areas"],
            }
            self._images.append(ImageBoxes(case, size, *found, **truth))

    def results(self) -> BoxResults:
        """All images so far. Raises ValueError when there was no batch."""
        if not self._images:
            raise ValueError("no image was evaluated, expected at least one. Check the subset.")
        return BoxResults(tuple(self._images))


def concatenate(parts: Sequence[BoxResults]) -> BoxResults:
    """The images of all parts, in order. Raises ValueError when there is no part."""
    if not parts:
        raise ValueError("no results to join, expected those of at least one process.")
    return BoxResults(tuple(image for part in parts for image in part.images))


def source_detections(
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    to_source: np.ndarray,
    size: tuple[int, int],
    case: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (D, 4) of a canvas in pixels of the source image of ``size``, clipped; scores, falling; labels.

    Without those of score 0 and those that lie outside. Raises ValueError, naming ``case``, where one is not
    finite.
    """
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError(f"case {case!r}: a detection is not finite. Evaluate in fp32, or train anew.")
    there = clip(warp_boxes(boxes.astype(np.float64), to_source), size).astype(np.float32)
    real = (scores > 0) & (there[:, 2] > there[:, 0]) & (there[:, 3] > there[:, 1])
    order = np.flatnonzero(real)[np.argsort(-scores[real], kind="stable")]
    return there[order], scores[order].astype(np.float32), labels[order].astype(np.int64)


def _short(values: Any) -> list[float]:
    """float32 numbers by the fewest digits that bring them back."""
    return [float(str(value)) for value in np.asarray(values, np.float32)]

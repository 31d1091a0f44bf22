"""What a detector is trained against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.boxes.geometry import centred


@dataclass(frozen=True)
class BoxTargets:
    """The objects of B images; an image may have none."""

    boxes: tuple[Tensor, ...]  # (N_b, 4) centre x, centre y, width, height, relative to the image
    labels: tuple[Tensor, ...]  # (N_b,) int64, index of the class
    sizes: Tensor  # (B, 2) width and height of the images in pixels of their canvas

    @classmethod
    def of(cls, annotated: Sequence[Mapping[str, Tensor]], sizes: Tensor) -> "BoxTargets":
        """From ``boxes`` (N, 4) left, top, right, bottom in canvas pixels, ``labels`` (N,) and ``ignored``.

        Ignored objects (crowds, difficult ones) are left out; without that key none is.
        """
        boxes, labels = [], []
        for target, size in zip(annotated, sizes, strict=True):
            kept = ~target["ignored"] if "ignored" in target else slice(None)
            boxes.append(centred(target["boxes"][kept] / size.to(target["boxes"]).repeat(2)))
            labels.append(target["labels"][kept])
        return cls(tuple(boxes), tuple(labels), sizes)

    @property
    def num_objects(self) -> int:
        return sum(len(labels) for labels in self.labels)

    def require_known(self, num_classes: int) -> None:
        """Raise ValueError for a label that is no class, with the place of its image in the batch."""
        for image, labels in enumerate(self.labels):
            wrong = labels[(labels < 0) | (labels >= num_classes)]
            if len(wrong):
                raise ValueError(
                    f"image {image} of the batch: label {int(wrong[0])}, expected 0 to {num_classes - 1}. "
                    "Map the ids of the categories to classes when preparing the data."
                )

    def at_most(self, count: int) -> "BoxTargets":
        """At most ``count`` objects an image, drawn at random where there are more."""
        kept = [
            torch.randperm(len(labels), device=labels.device)[:count].sort().values
            if len(labels) > count
            else torch.arange(len(labels), device=labels.device)
            for labels in self.labels
        ]
        return BoxTargets(
            tuple(boxes[index] for boxes, index in zip(self.boxes, kept, strict=True)),
            tuple(labels[index] for labels, index in zip(self.labels, kept, strict=True)),
            self.sizes,
        )

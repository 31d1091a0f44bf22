"""One image with its boxes, at any point of the pipeline."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from datasets.boxes import geometry
from datasets.boxes.class_set import BoxClasses
from transforms.move import Move
from transforms.sample import Sample


@dataclass(frozen=True, kw_only=True)
class BoxSample(Sample):
    """An image with N boxes of known classes.

    Coordinates are continuous (``transforms.geometry``): a box that holds pixel columns 3 and 4 spans
    ``[3, 5]``. ``boxes`` go with the image; ``source_boxes`` and ``areas`` stay what the source says, for
    what is measured there.
    """

    classes: BoxClasses
    boxes: np.ndarray  # (N, 4) float64, left, top, right, bottom in pixels of ``image``
    labels: np.ndarray  # (N,) int64, index of the class in ``classes``
    ignored: np.ndarray  # (N,) bool: a crowd or a difficult object, neither learned nor counted as missed
    source_boxes: np.ndarray  # (N, 4) float64, in pixels of the source image
    areas: np.ndarray  # (N,) float64, pixels of the source image; of the outline where the source has one
    source_size: tuple[int, int]  # (width, height) of the source image

    def annotation_moved(self, move: Move) -> Self:
        """The same case with its boxes where ``move`` brings them; a mirror image exchanges pairs of classes.

        A box becomes the upright hull of the ellipse in it. Raises ValueError for a mirror image where the
        pairs are not known.
        """
        return replace(
            self,
            boxes=geometry.hull(move.points(geometry.ellipses(self.boxes))),
            labels=self.classes.mirrored()[self.labels] if move.mirrors else self.labels,
        )

    def in_sight(self) -> Self:
        """The same with boxes clipped to ``image``, without those of which too little is left.

        ``datasets.boxes.geometry.in_sight`` says how much is enough.
        """
        kept = geometry.in_sight(self.boxes, self.size)
        rows = {name: getattr(self, name)[kept] for name in _ROWS}
        return replace(self, **rows, boxes=geometry.clip(self.boxes[kept], self.size))


_ROWS = ("labels", "ignored", "source_boxes", "areas")

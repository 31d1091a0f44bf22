"""How the boxes that a model finds are written down."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.boxes.class_set import BoxClasses
from datasets.files.colour import as_colour
from datasets.files.image_files import SourceImage
from util.prediction.boxes.box_files import write_box_files
from util.prediction.boxes.image_boxes import FoundBoxes, box_record, colour_pixels
from util.prediction.boxes.image_ids import ImageIds
from util.reporting.boxes.box_pictures import draw_boxes
from util.reporting.visualise import PREDICTION


@dataclass(frozen=True)
class BoxAnswers:
    """Records, files and pictures of boxes (``util.prediction.protocols.Answers``)."""

    classes: BoxClasses
    show_conf: float = 0.5  # from which score on pictures and tables show a detection
    image_ids: ImageIds | None = None  # what the records call the images; None: by the files' names

    def about(self) -> dict[str, Any]:
        return {"classes": list(self.classes.names), "category_ids": list(self.classes.ids)}

    def record(self, image: SourceImage, found: FoundBoxes) -> dict[str, Any]:
        record = box_record(image, found, self.classes)
        return record if self.image_ids is None else {**record, "image_id": self.image_ids.of(image)}

    def overlay(self, image: SourceImage, found: FoundBoxes) -> np.ndarray:
        """Boxes green, each with its class and score, from ``show_conf`` on."""
        canvas = as_colour(colour_pixels(image)).copy()
        shown = found.scores >= self.show_conf
        labels, scores = found.labels[shown], found.scores[shown]
        names = [
            f"{self.classes.names[int(label)]} {score:.2f}"
            for label, score in zip(labels, scores, strict=True)
        ]
        draw_boxes(canvas, found.boxes[shown], PREDICTION, names)
        return canvas

    def write(
        self,
        file: Path,
        *,
        model: Mapping[str, Any],
        left_out: Mapping[str, int],
        images: Iterable[dict],
        failed: Sequence[dict],
    ) -> int:
        """FILE.json, FILE.csv and FILE.coco.json; the number of images."""
        return write_box_files(
            file, model=model, left_out=left_out, images=images, failed=failed, show_conf=self.show_conf
        )

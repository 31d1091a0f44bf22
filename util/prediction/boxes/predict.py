"""From an image as it was read to boxes in its own pixels: the model's side of inference.

PyTorch is imported only where a PyTorch model is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.boxes.class_set import BoxClasses
from datasets.files.image_files import SourceImage
from util.prediction.boxes.answers import BoxAnswers
from util.prediction.boxes.image_boxes import FoundBoxes, found_boxes, source_sample

Transforms = Callable[[Any, np.random.Generator], Any]


class BoxPredictor:
    """A detector with the transforms of its evaluation (``util.prediction.protocols.Predictor``).

    find: gives the outputs of a batch (``datasets.boxes.batch``), with ``final`` as ``BoxEvaluator`` reads.
    colour: whether the detector is given RGB, and not grey.
    """

    def __init__(
        self,
        find: Callable[[Any], Any],
        transforms: Transforms,
        classes: BoxClasses,
        file: Path,
        *,
        colour: bool,
    ) -> None:
        self._find, self._transforms, self._colour, self.file = find, transforms, colour, file
        self.answers = BoxAnswers(classes)

    def __call__(self, images: Sequence[SourceImage]) -> list[FoundBoxes]:
        """Boxes of each image, in order. Raises ValueError when a prediction is not finite."""
        from datasets.boxes.batch import collate_boxes

        rng = np.random.default_rng(0)  # evaluation draws nothing
        samples = [
            self._transforms(source_sample(image, self.answers.classes, colour=self._colour), rng)
            for image in images
        ]
        batch = collate_boxes(samples)
        final = self._find(batch).final
        found = (final.boxes, final.scores.float(), final.labels)
        return found_boxes([tensor.detach().cpu().numpy() for tensor in found], samples)

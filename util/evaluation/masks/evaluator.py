"""Predicted masks beside the truth, image by image, in source pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from datasets.masks.batch import MaskBatch
from datasets.masks.class_set import ClassSet
from datasets.masks.shape import Shape
from util.evaluation.masks.edge_calibration import EdgeCalibration
from util.evaluation.masks.mask_metrics import NUMBERS, MaskNumbers, mask_numbers
from util.evaluation.masks.mask_results import MaskResults, concatenate
from util.prediction.masks.source import at_source, map_to_source


class MaskEvaluator:
    """Collects numbers batch by batch; one class of one image is in memory at a time, at source size.

    thresholds: (K,) probabilities from which a pixel belongs to a class, 0.5 where not given. Raises
    ValueError for one outside of (0, 1).
    """

    def __init__(self, class_set: ClassSet, thresholds: Sequence[float] | None = None) -> None:
        self.class_set = class_set
        self.thresholds = checked_thresholds(thresholds, class_set)
        self._parts: list[MaskResults] = []

    def update(self, outputs: Any, batch: MaskBatch) -> None:
        """Add a batch. ``outputs.final``: (B, K, h, w) logits on the canvas, at any stride."""
        logits: Tensor = outputs.final
        for index in range(len(batch)):
            self.add(logits[index].detach().float().sigmoid().cpu().numpy(), batch, index)

    def add(self, probabilities: np.ndarray, batch: MaskBatch, index: int) -> None:
        """Add image ``index`` of a batch. probabilities: (K, h, w) on its canvas."""
        height, width = batch.images.shape[2:]
        to_source = map_to_source(
            batch.to_source[index].cpu().numpy(), (width, height), probabilities.shape[1:]
        )
        size = batch.source_sizes[index]
        maps = (at_source(probability, to_source, size) for probability in probabilities)
        self.add_image(maps, batch, index)

    def add_image(self, maps: Any, batch: MaskBatch, index: int) -> None:
        """Add image ``index`` of a batch. maps: K probabilities (H, W) at source size, one by one."""
        shapes, size = batch.shapes[index], batch.source_sizes[index]
        spacing, known = batch.spacing[index].cpu().numpy(), batch.known[index].tolist()
        overlap = overlap_zone(shapes, size)
        numbers, calibration = [], []
        for k, probability in enumerate(maps):
            if not known[k]:
                numbers.append(MaskNumbers.unknown())
                calibration.append(EdgeCalibration.nothing())
                continue
            truth = shapes[k].mask(size)
            numbers.append(mask_numbers(truth, probability >= self.thresholds[k], overlap, spacing))
            calibration.append(EdgeCalibration.of(probability, truth, spacing))
        self._parts.append(
            MaskResults(
                class_set=self.class_set,
                thresholds=self.thresholds,
                cases=(batch.cases[index],),
                persons=(batch.persons[index],),
                spacing=spacing[None],
                numbers=np.array([[[getattr(row, name) for name in NUMBERS] for row in numbers]]),
                calibration=tuple(calibration),
            )
        )

    def results(self) -> MaskResults:
        """Everything so far. Raises ValueError when no image was added."""
        return concatenate(self._parts)


def overlap_zone(shapes: Sequence[Shape], size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: pixels that belong to two or more of the structures."""
    once, twice = np.zeros((2, *size[::-1]), bool)
    for shape in shapes:
        if shape:
            mask = shape.mask(size)
            twice |= once & mask
            once |= mask
    return twice


def checked_thresholds(thresholds: Sequence[float] | None, class_set: ClassSet) -> tuple[float, ...]:
    """(K,) thresholds. Raises ValueError for another number of them, or one outside of (0, 1)."""
    values = (0.5,) * len(class_set) if thresholds is None else tuple(map(float, thresholds))
    if len(values) != len(class_set):
        raise ValueError(f"{len(values)} thresholds, expected one for each of {len(class_set)} classes.")
    for name, value in zip(class_set.classes, values, strict=True):
        if not 0.0 < value < 1.0:
            raise ValueError(
                f"threshold {value} of {name!r}: expected a probability above 0 and below 1, such as 0.5."
            )
    return values

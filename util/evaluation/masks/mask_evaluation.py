"""One evaluation of one mask model, or of several together: as JSON, as a table, as pictures."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datasets.files.image_files import SourceImage
from datasets.masks.batch import collate
from datasets.masks.sample import MaskSample
from util.evaluation.masks.attributes import AttributeResults, attribute_summary, attribute_table
from util.evaluation.masks.collected import CollectedMasks, MaskCollector
from util.evaluation.masks.mask_comparison import EvaluatedMasks, compare_masks, comparison_rows
from util.evaluation.masks.mask_summary import left_out_of_lengths, summary, text_table
from util.prediction.masks.looks import MaskLooks
from util.reporting.masks.mask_drawing import compared
from util.reporting.text_table import aligned


@dataclass(frozen=True)
class MaskEvaluation:
    """What was found on one subset of prepared data, and what it was measured against."""

    collected: CollectedMasks
    labels: str  # whose outlines count as the truth
    trained_on: str  # whose outlines the model learnt from, or the models
    folder: Path
    subset: str
    looks: MaskLooks
    repeated: tuple[str, ...] = ()  # cases whose X-ray train or val has too
    attributes: tuple[AttributeResults, ...] = ()  # that the model tells of whole images

    def text(self) -> str:
        """The table, and what it is of."""
        results = self.collected.results
        shown = ", ".join(
            f"{name} {value:.2f}"
            for name, value in zip(results.class_set.classes, results.thresholds, strict=True)
        )
        changed = self.mean_field_table()
        lines = [
            text_table(results),
            *(f"\n{aligned(attribute_table(one), rules=(1, 2))}" for one in self.attributes),
            *([f"\nDice and the mean field:\n{aligned(changed, rules=(1, 2))}"] if changed else []),
            f"\n{len(results.cases)} images of {self.folder}, subset {self.subset}",
            f"measured against {self.labels!r} labels; trained on {self.trained_on!r} labels",
            f"thresholds: {shown}",
            *filter(None, [left_out_of_lengths(results)]),
            *([f"test-time options: {self.looks}"] if not self.looks.plain else []),
            *([f"{len(self.repeated)} of the X-rays are in train or val too"] if self.repeated else []),
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: ``dice``, ``iou``, ``assd_mm`` and the other numbers at the top."""
        return {
            "task": "masks",
            **summary(self.collected.results),
            "mean_field": self.mean_field_changes,
            "attributes": {one.name: attribute_summary(one) for one in self.attributes},
            "checkpoint": str(self.looks.checkpoints[0]),
            "test_time": self.looks.to_dict(),
            "data": str(self.folder),
            "subset": self.subset,
            "labels": self.labels,
            "repeated": list(self.repeated),
        }

    @cached_property
    def mean_field_changes(self) -> dict[str, Any] | None:
        """``compare_masks`` of what the same looks find without the mean field (first) and with it (other).

        None where none was asked for.
        """
        without = self.collected.without_mean_field
        if without is None:
            return None
        both = EvaluatedMasks.of(without, "without"), EvaluatedMasks.of(self.collected.results, "with")
        return compare_masks(*both)

    def mean_field_table(self) -> list[tuple[str, ...]]:
        """Dice without and with the mean field: a header, the mean, a row a class; empty without one."""
        changes = self.mean_field_changes
        return [] if changes is None else comparison_rows(changes, "dice", ("without", "with"))

    def overlay(self, index: int, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB: true outlines red, predicted ones green."""
        return compared(image, self.collected.true_masks(index), self.collected.found_masks(index))


def evaluated_by(finder: Any, samples: Iterable[MaskSample]) -> CollectedMasks:
    """What ``finder`` (util.prediction.masks.predict.MaskFinder) finds on samples as they lie in the data.

    Every image is looked at once more without a mean field, where there is one, to say what it did.
    """
    collector, plain = MaskCollector(), MaskCollector()
    without = finder.without_mean_field()
    for sample in samples:
        _add(collector, finder, sample)
        if without is not None:
            _add(plain, without, sample)
    before = None if without is None else plain.results().results
    return replace(collector.results(), without_mean_field=before)


def _add(collector: MaskCollector, finder: Any, sample: MaskSample) -> None:
    """Probabilities count on the side of the threshold where cleaning put their pixel."""
    finder.looks.cleaning.require(sample.spacing, f"case {sample.case!r}")
    image = SourceImage(sample.image, sample.spacing, Path(sample.case), None)
    taken = list(finder.look(image))

    def cleaned() -> Iterator[np.ndarray]:
        for k, probability in enumerate(finder.probabilities(taken, sample.size)):
            threshold = np.float32(finder.thresholds[k])
            mask = finder.looks.cleaning(probability >= threshold, image.spacing)
            below = np.nextafter(threshold, np.float32(0))
            yield np.where(mask, np.maximum(probability, threshold), np.minimum(probability, below))

    told = finder.told(taken)
    collector.add(cleaned(), collate([sample]), 0, thresholds=finder.thresholds, told=told)

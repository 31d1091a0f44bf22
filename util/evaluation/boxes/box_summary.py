"""The numbers of an evaluation of boxes: a flat headline, everything as JSON, and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from util.evaluation.boxes.bootstrap import draws, intervals, num_resamples, resampled, three
from util.evaluation.boxes.box_results import BoxResults
from util.evaluation.boxes.confusion import confusion_matrix
from util.evaluation.boxes.curves import Sweep, best_threshold, calibration, froc, sweep
from util.evaluation.boxes.matches import (
    MAX_DETECTIONS,
    ClassMatches,
    class_matches,
    coco_evaluation,
    mean_precision,
)
from util.words import first_few

SIZES = ("small", "medium", "large")  # below 32 x 32 and 96 x 96 pixels of area, and beyond
_NAMES = ("ap", "ap50", "ap75")


def headline(results: BoxResults) -> dict[str, Any]:
    """``ap``, ``ap50``, ``ap75`` and so on as fractions of 1, None without objects, and the counts."""
    return BoxSummary(results, num_labels(results)).headline


def num_labels(results: BoxResults) -> int:
    """One more than the largest label that occurs."""
    labels = [array for image in results.images for array in (image.labels, image.true_labels)]
    return int(max((array.max() for array in labels if len(array)), default=0)) + 1


@dataclass(frozen=True)
class BoxSummary:
    """What can be said of ``results``, each number when it is asked for."""

    results: BoxResults
    num_classes: int

    @cached_property
    def _coco(self) -> Any:
        return coco_evaluation(self.results, self.num_classes)

    @cached_property
    def matches(self) -> list[ClassMatches]:
        return class_matches(self._coco)

    @cached_property
    def sweep(self) -> Sweep:
        """Every class together."""
        return sweep(self.matches)

    @cached_property
    def threshold(self) -> dict[str, float]:
        return best_threshold(self.sweep)

    @cached_property
    def confusion(self) -> np.ndarray:
        """(K + 1, K + 1) at the best threshold."""
        return confusion_matrix(self.results, self.num_classes, self.threshold["score"])

    @cached_property
    def by_class(self) -> list[dict[str, Any]]:
        """A record a class: objects, AP, AP50, AP75, and its own best threshold."""
        records = []
        for item in self.matches:
            ap = _numbers(three(item.average_precision()))
            own = best_threshold(sweep([item])) if item.objects.any() else None
            records.append({"objects": int(item.objects.sum()), **ap, "threshold": own})
        return records

    @cached_property
    def headline(self) -> dict[str, Any]:
        precision, recall = self._coco.eval["precision"], self._coco.eval["recall"]
        by_size = {
            f"ap_{name}": _mean_known(precision[..., index, -1]) for index, name in enumerate(SIZES, 1)
        }
        recalls = {f"ar{count}": _mean_known(recall[..., 0, row]) for row, count in enumerate((1, 10, 100))}
        recalls |= {f"ar_{name}": _mean_known(recall[..., index, -1]) for index, name in enumerate(SIZES, 1)}
        return {
            **_numbers(three(mean_precision(self.matches))),
            **by_size,
            **recalls,
            "num_images": len(self.results.images),
            "num_objects": self.sweep.num_objects,
        }

    @cached_property
    def interval(self) -> dict[str, list[float] | None]:
        """95 % bootstrap intervals of AP, AP50 and AP75 over images; None without objects."""
        if not self.sweep.num_objects:
            return dict.fromkeys(_NAMES)
        counts = draws(len(self.results.images), num_resamples(self.matches))
        found = intervals(resampled(self.matches, counts))
        return {name: list(pair) for name, pair in zip(_NAMES, found, strict=True)}

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Every number, the headline's at the top level; detections and truth of each image included."""
        return {
            **self.headline,
            "interval95": self.interval,
            "resamples": num_resamples(self.matches),
            "by_class": dict(zip(names, self.by_class, strict=True)),
            "threshold": self.threshold,
            "froc": froc(self.sweep),
            "calibration": calibration(self.sweep),
            "confusion": self.confusion.tolist(),
            "classes": list(names),
            "images": [image.to_dict() for image in self.results.images],
        }


def table_header() -> list[str]:
    return ["class", "objects", "AP", "AP50", "AP75", "precision", "recall", "from score"]


def table_rows(summary: BoxSummary, names: Sequence[str]) -> list[list[str]]:
    """A row a class that has objects, before them one of all: precision and recall at its own threshold."""
    every = {**summary.headline, "objects": summary.sweep.num_objects, "threshold": summary.threshold}
    of_class = zip(names, summary.by_class, strict=True)
    return [_row("all", every)] + [_row(name, record) for name, record in of_class if record["objects"]]


def without_objects(summary: BoxSummary, names: Sequence[str]) -> str:
    """Which classes have no row, having nothing to find; empty for none, and where all of them have none."""
    absent = [name for name, record in zip(names, summary.by_class, strict=True) if not record["objects"]]
    if len(absent) in (0, len(names)):
        return ""
    return f"no object here of {len(absent)} of {len(names)} classes: {first_few(absent)}"


def beyond_counting(results: BoxResults) -> str:
    """On how many images there are more objects of a class than COCO counts detections; empty for none."""
    most = [np.bincount(image.true_labels[~image.ignored]).max(initial=0) for image in results.images]
    count = sum(number > MAX_DETECTIONS for number in most)
    if not count:
        return ""
    return (
        f"{count} images with more than {MAX_DETECTIONS} objects of a class (up to {max(most)}): the "
        f"best {MAX_DETECTIONS} detections of a class on an image count, as COCO has it"
    )


def text_table(summary: BoxSummary, names: Sequence[str]) -> str:
    """The classes as a table, and below it the numbers of all, for a terminal."""
    rows = [table_header(), *table_rows(summary, names)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    told = [without_objects(summary, names), *sentences(summary), beyond_counting(summary.results)]
    told = [text for text in told if text]
    return "\n".join([*lines, "", *told])


def sentences(summary: BoxSummary) -> list[str]:
    """The numbers that belong to no class."""
    numbers = summary.headline
    low_high = summary.interval["ap"]
    if low_high is None:
        return [f"{numbers['num_images']} images without one object to find"]
    rates = froc(summary.sweep)
    told = [f"{name} {_percent(numbers[key])}" for name, key in _TOLD.items()]
    return [
        f"AP {_percent(numbers['ap'])} % (95 % interval {_percent(low_high[0])} to {_percent(low_high[1])}), "
        f"{numbers['num_images']} images, {numbers['num_objects']} objects",
        f"AP small, medium, large: {', '.join(_percent(numbers[f'ap_{size}']) for size in SIZES)} %; "
        f"{', '.join(told)} %",
        f"found at 1, 2, 4 false positives an image: "
        f"{', '.join(_percent(rates[rate]) for rate in ('1', '2', '4'))} %",
        f"calibration error of the scores: {_percent(float(calibration(summary.sweep)['error']))} %",  # pyright: ignore[reportArgumentType]
    ]


_TOLD = {"AR1": "ar1", "AR10": "ar10", "AR100": "ar100"}


def _row(name: str, record: dict[str, Any]) -> list[str]:
    at = record["threshold"] or {}
    cells = [_percent(record[key]) for key in _NAMES]
    kept = [_percent(at.get("precision")), _percent(at.get("recall"))]
    return [name, str(record["objects"]), *cells, *kept, f"{at['score']:.2f}" if at else "-"]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100.0 * share:.1f}"


def _numbers(values: np.ndarray) -> dict[str, float | None]:
    return {
        name: None if np.isnan(value) else float(value) for name, value in zip(_NAMES, values, strict=True)
    }


def _mean_known(values: np.ndarray) -> float | None:
    """pycocotools writes -1 where there is no object."""
    known = values[values > -1]
    return float(known.mean()) if known.size else None

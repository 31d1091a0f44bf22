"""What an evaluation of masks comes to: flat JSON, a headline, a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from util.evaluation.masks.bootstrap import class_means, intervals
from util.evaluation.masks.mask_metrics import NUMBERS
from util.evaluation.masks.mask_results import MaskResults, worst_images
from util.reporting.text_table import aligned

_SHARES = ("dice", "iou", "dice_present", "dice_overlap", "nsd_0_5_mm", "nsd_1_mm")
_LENGTHS = ("assd", "hd95")
_COUNTS = ("missed", "invented")
_WORST = 10
DEFINITIONS = {
    "dice": "(2 |A and B| + 1e-4) / (|A| + |B| + 1e-4) an image; both empty 1, one empty about 0",
    "iou": "(|A and B| + 1e-4) / (|A or B| + 1e-4) an image; both empty 1, one empty about 0",
    "dice_present": "2 |A and B| / (|A| + |B|) in images whose truth has pixels",
    "dice_overlap": "dice_present of the pixels that the truth gives two or more classes",
    "assd": "mean distance between the outlines, both ways, by length; images where both have pixels",
    "hd95": "the larger of the 95th percentiles of the distances; images where both have pixels",
    "nsd_0_5_mm": "share of both outlines within 0.5 mm of the other; 0 where one is empty",
    "nsd_1_mm": "share of both outlines within 1 mm of the other; 0 where one is empty",
    "missed": "images whose truth has pixels and the prediction none",
    "invented": "images whose prediction has pixels and the truth none",
    "mean": "of the classes' numbers, each the mean over images",
    "ci95": "percentile bootstrap over persons",
}


def summary(results: MaskResults) -> dict[str, Any]:
    """JSON-ready. Every number is {class: number, "mean": number}, null where no image has one.

    Lengths come twice, over the images whose spacing is known (``assd_mm``) and over the others
    (``assd_px``); null where there are no such images.
    """
    in_mm = results.in_mm
    lengths = {
        f"{name}_{unit}": _means(results, results.of(name)[kept], results.persons_of(kept))
        for name in _LENGTHS
        for unit, kept in (("mm", in_mm), ("px", ~in_mm))
    }
    shares = {name: _means(results, results.of(name), results.persons) for name in _SHARES}
    everything = {**shares, **lengths}
    return {
        **{name: values and values[0] for name, values in everything.items()},
        **{name: _totals(results, name) for name in _COUNTS},
        "ci95": {name: values and values[1] for name, values in everything.items()},
        "num_images": len(results.cases),
        "num_persons": len(set(results.persons)),
        "num_images_without_spacing": int((~in_mm).sum()),
        "spacing_mm": _ready(results.spacing),
        "thresholds": dict(zip(results.class_set.classes, results.thresholds, strict=True)),
        "edge_calibration": {
            name: found.to_dict()
            for name, found in zip(results.class_set.classes, results.calibration, strict=True)
        },
        "worst_cases": [results.cases[index] for index in worst_images(results, _WORST)],
        "definitions": DEFINITIONS,
        "classes": list(results.class_set.classes),
        "cases": list(results.cases),
        "persons": list(results.persons),
        "per_case": {name: _ready(results.of(name)) for name in NUMBERS},
    }


def headline(results: MaskResults) -> dict[str, float]:
    """The few numbers of a log line, and of the choice of the best checkpoint: ``dice`` first."""
    return {
        "dice": float(class_means(results.of("dice"))[-1]),
        "iou": float(class_means(results.of("iou"))[-1]),
    }


def text_table(results: MaskResults) -> str:
    """The table for a terminal: all classes together, then each."""
    return aligned([table_header(results), *table_rows(results)], rules=(1, 2))


def table_header(results: MaskResults) -> list[str]:
    """Column titles that go with ``table_rows``."""
    lengths = [f"ASSD {results.length_unit}", f"HD95 {results.length_unit}"]
    shares = ["class", "n", "Dice", "95 %", "where present", "in overlap", "IoU"]
    return [*shares, *lengths, "NSD 0.5", "NSD 1", "missed", "invented"]


def left_out_of_lengths(results: MaskResults) -> str:
    """Which images have no say in the lengths of ``table_rows``, in words; empty where all have."""
    without = int((~results.in_mm).sum())
    if without in (0, len(results.cases)):
        return ""
    return f"Lengths are of the {len(results.cases) - without} images with a spacing; {without} have none."


def table_rows(results: MaskResults) -> list[list[str]]:
    """All classes together, then each; "-" where no image has a number. n: images whose truth has pixels.

    Lengths are ``MaskResults.lengths``.
    """
    names = ("dice_present", "dice_overlap", "iou", "assd", "hd95", "nsd_0_5_mm", "nsd_1_mm")
    columns = {
        name: class_means(results.lengths(name) if name in _LENGTHS else results.of(name))
        for name in ("dice", *names)
    }
    low_high = intervals(results.of("dice"), results.persons)
    present = np.isfinite(results.of("dice_present")).sum(0)
    counts = {name: np.nansum(results.of(name), 0).astype(int) for name in _COUNTS}
    last = len(results.class_set)

    def row(title: str, k: int, images: int, found: Sequence[int]) -> list[str]:
        shown = [_cell(columns[name][k], 3) for name in names]
        interval = " to ".join(_cell(value, 3) for value in low_high[k])
        return [title, str(images), _cell(columns["dice"][k], 4), interval, *shown, *map(str, found)]

    together = [int(values.sum()) for values in counts.values()]
    each = [
        row(name, k, present[k], [values[k] for values in counts.values()])
        for k, name in enumerate(results.class_set.classes)
    ]
    return [row("mean", last, len(results.cases), together), *each]


def _cell(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def _means(
    results: MaskResults, values: np.ndarray, persons: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The means of (N, K) a class and of all, and their intervals, by name; None without a number."""
    if not np.isfinite(values).any():
        return None
    names = [*results.class_set.classes, "mean"]
    means, low_high = _ready(class_means(values)), _ready(intervals(values, persons))
    return dict(zip(names, means, strict=True)), dict(zip(names, low_high, strict=True))


def _totals(results: MaskResults, name: str) -> dict[str, int]:
    totals = np.nansum(results.of(name), 0).astype(int).tolist()
    return dict(zip(results.class_set.classes, totals, strict=True))


def _ready(values: Any) -> Any:
    """Arrays and lists as nested lists with None for NaN."""
    if isinstance(values, np.ndarray | list):
        return [_ready(value) for value in values]
    return float(values) if np.isfinite(values) else None

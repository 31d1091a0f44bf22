"""Two evaluations of masks on the same images, compared person by person."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from util.evaluation.masks.bootstrap import class_means, paired_difference
from util.evaluation.masks.mask_results import MaskResults
from util.reporting.text_table import aligned

MEASURES = ("dice", "dice_present", "dice_overlap", "iou", "assd", "hd95", "nsd_0_5_mm", "nsd_1_mm")
_LENGTHS = ("assd", "hd95")
_KEYS = ("classes", "cases", "persons", "per_case", "num_images_without_spacing")


@dataclass(frozen=True)
class EvaluatedMasks:
    """What test.py --json wrote about one model, or is about to write."""

    file: Path  # or any name of it: for messages
    classes: tuple[str, ...]
    cases: tuple[str, ...]
    persons: tuple[str, ...]
    in_mm: np.ndarray  # (N,) bool: an image's lengths are in mm, or in pixels
    numbers: dict[str, np.ndarray]  # (N, K) by measure, NaN where not counted

    @classmethod
    def of(cls, results: MaskResults, name: str) -> "EvaluatedMasks":
        return cls(
            file=Path(name),
            classes=results.class_set.classes,
            cases=results.cases,
            persons=results.persons,
            in_mm=results.in_mm,
            numbers={measure: results.of(measure) for measure in MEASURES},
        )


def read_evaluation(file: Path) -> EvaluatedMasks:
    """Raises ValueError for a file that test.py did not write about masks."""
    try:
        record: Any = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{file}: cannot be read ({error.strerror}). Write it with test.py --json."
        ) from error
    except ValueError as error:
        raise ValueError(f"{file}: not valid JSON ({error}). Write it with test.py --json.") from error
    absent = [key for key in _KEYS if not isinstance(record, dict) or key not in record]
    if absent:
        raise ValueError(f"{file}: lacks {absent}, so it is no evaluation of masks by test.py --json.")
    return EvaluatedMasks(
        file=file,
        classes=tuple(record["classes"]),
        cases=tuple(record["cases"]),
        persons=tuple(record["persons"]),
        in_mm=_in_mm(record, file),
        numbers=_numbers(record, file),
    )


def _in_mm(record: Mapping[str, Any], file: Path) -> np.ndarray:
    """(N,) bool; an older file says how many images have no spacing, and not which."""
    count, without = len(record["cases"]), record["num_images_without_spacing"]
    if "spacing_mm" in record:
        return ~np.isnan(np.array(record["spacing_mm"], np.float64)[:, 0])  # known both ways or not at all
    if without in (0, count):
        return np.full(count, without == 0)
    raise ValueError(
        f"{file}: {without} of {count} images have no spacing, and it does not say which. Write it anew with "
        "test.py --json."
    )


def _numbers(record: Any, file: Path) -> dict[str, np.ndarray]:
    expected = len(record["cases"]), len(record["classes"])
    try:
        numbers = {name: np.array(record["per_case"][name], np.float64) for name in MEASURES}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: per_case: {error!r}. Write it anew with test.py --json.") from error
    for name, values in numbers.items():
        if values.shape != expected:
            raise ValueError(
                f"{file}: per_case.{name} of {values.shape} numbers, expected {expected}, images by classes. "
                "Write it anew with test.py --json."
            )
    return numbers


def require_comparable(first: EvaluatedMasks, other: EvaluatedMasks) -> None:
    """Raise ValueError unless both are about the same classes and images, in one order and one unit."""
    for what, ours, theirs in (
        ("classes", first.classes, other.classes),
        ("images", first.cases, other.cases),
        ("persons", first.persons, other.persons),
    ):
        if ours != theirs:
            differing = sorted(set(ours) ^ set(theirs))[:3] or "another order"
            raise ValueError(
                f"{other.file} and {first.file}: not the same {what} ({differing}). Evaluate both with the "
                "same test.py --data and --subset."
            )
    if len(differing := np.flatnonzero(first.in_mm != other.in_mm)):
        raise ValueError(
            f"{other.file} and {first.file}: the lengths of {len(differing)} images, such as "
            f"{first.cases[differing[0]]!r}, are in mm in one and in pixels in the other. Evaluate both with "
            "the same test.py --data."
        )


def mean_of_trainings(evaluations: Sequence[EvaluatedMasks]) -> EvaluatedMasks:
    """One evaluation whose numbers are the means over trainings of one model, such as of several seeds.

    A number that one of them lacks is lacking. Raises ValueError unless all are of the same images.
    """
    first = evaluations[0]
    for other in evaluations[1:]:
        require_comparable(first, other)
    means = {name: np.mean([one.numbers[name] for one in evaluations], 0) for name in MEASURES}
    return replace(first, numbers=means)


def of_classes(evaluation: EvaluatedMasks, classes: Sequence[str]) -> EvaluatedMasks:
    """The numbers of some classes alone, in their order. Raises ValueError for one that is not there."""
    absent = [name for name in classes if name not in evaluation.classes]
    if absent:
        raise ValueError(f"{evaluation.file}: classes {absent}, expected some of {list(evaluation.classes)}.")
    columns = [evaluation.classes.index(name) for name in classes]
    numbers = {name: values[:, columns] for name, values in evaluation.numbers.items()}
    return replace(evaluation, classes=tuple(classes), numbers=numbers)


def compare_masks(first: EvaluatedMasks, other: EvaluatedMasks, seed: int = 0) -> dict[str, Any]:
    """By measure and class, and ``mean``: both means, ``other`` less ``first``, and its 95 % interval.

    Means are those of all images; differences are of the images that have a number in both. None where
    there is none. Lengths are of the images with a spacing where there are any, as mm and pixels have no
    common mean.
    """
    require_comparable(first, other)
    counts = (first.in_mm == first.in_mm.any())[:, None]
    names = [*first.classes, "mean"]
    result: dict[str, Any] = {}
    for measure in MEASURES:
        ours, theirs = first.numbers[measure], other.numbers[measure]
        if measure in _LENGTHS:
            ours, theirs = (np.where(counts, lengths, np.nan) for lengths in (ours, theirs))
        difference, interval = paired_difference(theirs, ours, first.persons, seed)
        columns = zip(names, class_means(ours), class_means(theirs), difference, interval, strict=True)
        result[measure] = {
            name: {
                "first": _known(a),
                "other": _known(b),
                "difference": _known(d),
                "ci95": None if not np.isfinite(i).all() else i.tolist(),
            }
            for name, a, b, d, i in columns
        }
    return result


def unit_in_words(evaluated: EvaluatedMasks) -> str:
    """What ``compare_masks`` has lengths in, and of which images."""
    known = int(evaluated.in_mm.sum())
    if not known:
        return "Lengths are in pixels: no image has a spacing."
    left_out = len(evaluated.in_mm) - known
    return "Lengths are in mm" + (f", of the {known} images with a spacing alone." if left_out else ".")


def comparison_table(found: dict[str, Any], measure: str) -> str:
    """``comparison_rows`` for a terminal."""
    return aligned(comparison_rows(found, measure), rules=(1, 2))


def comparison_rows(
    found: dict[str, Any], measure: str, titles: tuple[str, str] = ("first", "other")
) -> list[tuple[str, ...]]:
    """One measure: both means, the difference and its interval; a header, the mean, and a row a class."""
    rows: list[tuple[str, ...]] = [("class", *titles, "difference", "95 %")]
    entries = found[measure]
    for name in ("mean", *(name for name in entries if name != "mean")):
        entry = entries[name]
        interval = entry["ci95"]
        shown = "-" if interval is None else f"{interval[0]:+.4f} to {interval[1]:+.4f}"
        values = ["-" if entry[key] is None else f"{entry[key]:.4f}" for key in ("first", "other")]
        change = "-" if entry["difference"] is None else f"{entry['difference']:+.4f}"
        rows.append((name, *values, change, shown))
    return rows


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

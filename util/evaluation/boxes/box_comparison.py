"""Evaluations of boxes on the same images, compared pair by pair with the first."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from util.evaluation.boxes.bootstrap import draws, intervals, num_resamples, resampled
from util.evaluation.boxes.box_results import BoxResults, ImageBoxes
from util.evaluation.boxes.box_summary import BoxSummary

_KEYS = ("checkpoint", "classes", "images", "subset")
_NAMES = ("ap", "ap50", "ap75")
_TRUTH = ("true_labels", "true_boxes", "ignored", "areas")  # of an image's ``ImageBoxes``


@dataclass(frozen=True)
class EvaluatedBoxes:
    """What test.py --json wrote about one detector."""

    name: str
    file: Path
    classes: tuple[str, ...]
    results: BoxResults


def read_boxes(file: Path, name: str) -> EvaluatedBoxes:
    """A file of test.py --json. Raises ValueError for anything else."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: not valid JSON ({error}). Write it with test.py --json.") from error
    absent = [key for key in _KEYS if not isinstance(record, dict) or key not in record]
    if absent:
        raise ValueError(
            f"{file}: lacks {absent}, so not written by this test.py for boxes. Write it anew with --json."
        )
    images = tuple(map(ImageBoxes.from_dict, record["images"]))
    return EvaluatedBoxes(name, file, tuple(map(str, record["classes"])), BoxResults(images))


def require_same_truth(runs: Sequence[EvaluatedBoxes]) -> None:
    """Raise ValueError unless all were measured on the same images against the same objects and classes."""
    first = runs[0]
    for run in runs[1:]:
        where = f"{run.file} and {first.file}"
        if run.classes != first.classes:
            raise ValueError(f"{where}: other classes, expected the same in the same order.")
        if run.results.cases != first.results.cases:
            differing = sorted(set(run.results.cases) ^ set(first.results.cases))
            raise ValueError(
                f"{where}: not the same images ({len(differing)} in only one, such as {differing[:3]}; order "
                "counts). Evaluate both with the same test.py --data and --subset."
            )
        for one, other in zip(run.results.images, first.results.images, strict=True):
            if not all(np.array_equal(getattr(one, name), getattr(other, name)) for name in _TRUTH):
                raise ValueError(f"{where}: other objects on {one.case!r}. Evaluate both on the same data.")


def compare_boxes(runs: Sequence[EvaluatedBoxes], seed: int = 0) -> list[dict[str, Any]]:
    """A record a run: AP, AP50, AP75 with 95 % intervals, and the difference to the first with its own.

    The same images are drawn for both of a pair, so what makes an image hard for both does not widen the
    interval. Raises ValueError where there is no object to find.
    """
    summaries = [BoxSummary(run.results, len(run.classes)) for run in runs]
    if not summaries[0].sweep.num_objects:
        raise ValueError(f"{runs[0].file}: no object to find, so nothing to compare.")
    count = min(num_resamples(summary.matches) for summary in summaries)
    weights = draws(len(runs[0].results.images), count, seed)
    drawn = [resampled(summary.matches, weights) for summary in summaries]
    rows = []
    for run, summary, values in zip(runs, summaries, drawn, strict=True):
        row: dict[str, Any] = {"name": run.name, **{name: summary.headline[name] for name in _NAMES}}
        row["interval95"] = dict(zip(_NAMES, map(list, intervals(values)), strict=True))
        if run is not runs[0]:
            row["difference"] = {
                name: {
                    "mean": summary.headline[name] - summaries[0].headline[name],
                    "interval95": list(pair),
                    "better_in": float((values[:, column] > drawn[0][:, column]).mean()),
                }
                for column, (name, pair) in enumerate(zip(_NAMES, intervals(values - drawn[0]), strict=True))
            }
        rows.append(row)
    return rows


def box_table(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Header and a row a run, in percent; differences to the first in points of percent."""
    header = ["run", "AP", "AP50", "AP75", "AP - first", "AP50 - first"]
    return [header, *(_cells(row) for row in rows)]


def _cells(row: dict[str, Any]) -> list[str]:
    cells = [row["name"]]
    for name in _NAMES:
        low, high = row["interval95"][name]
        cells.append(f"{100 * row[name]:.1f} ({100 * low:.1f} to {100 * high:.1f})")
    for name in ("ap", "ap50"):
        found = row.get("difference", {}).get(name)
        low, high = found["interval95"] if found else (0.0, 0.0)
        told = f"{100 * found['mean']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})" if found else "-"
        cells.append(told)
    return cells

"""How far measurements lie from a reader's, in degrees and mm, and what classes come of it.

    python tools/evaluate_measurements.py --predictions test.json --analysis isbi2015 steiner
    python tools/evaluate_measurements.py --readers data/junior data/senior --analysis isbi2015
    python tools/evaluate_measurements.py --repeats data/isbi2015 --analysis isbi2015

The first line takes the predictions of test.py --json against the labels that it was evaluated on, or against
those of --against. The second takes one reader's labels against another's, the third two markings of those
X-rays that a folder has twice: what the labels allow.

Errors are found less true. With predictions, rms z and the shares within 1 and 1.96 SD say whether the
uncertainty is right: as labelled, and after the slash without the mean error of the other images
(docs/measurements.md).
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

import numpy as np  # noqa: E402

from datasets.landmarks.landmark_set import LandmarkSet, shipped_names  # noqa: E402
from measurements.analysis import load_analysis, shipped_analyses  # noqa: E402
from measurements.shapes import isotropic  # noqa: E402
from util.arguments import TakeAll  # noqa: E402
from util.evaluation.landmarks.measurement_errors import (  # noqa: E402
    MeasurementErrors,
    class_reliability,
    measurement_errors,
)
from util.evaluation.landmarks.metrics import Errors  # noqa: E402
from util.evaluation.landmarks.prediction_file import errors_of_file, shapes_of_file  # noqa: E402
from util.evaluation.landmarks.readers import (  # noqa: E402
    against_readers,
    errors_between_markings,
    errors_between_readers,
    landmark_set_of,
)
from util.files import write_atomic  # noqa: E402

_TITLES = (
    "",
    "n",
    "mean",
    "SD",
    "mean absolute error (95 %)",
    "spread",
    "SD said",
    "rms z",
    "1 SD, %",
    "1.96 SD, %",
)
_CLASS_TITLES = ("", "accuracy %", "success rate %, rows manual (papers)", "success rate %, the script")


def main() -> None:
    args = parse_args()
    errors, landmark_set = read(args)
    names = landmark_set.abbreviations
    index = {name: k for k, name in enumerate(landmark_set.landmarks)} | {n: k for k, n in enumerate(names)}
    circles = args.isotropic or not args.predictions  # readers do not say how sure they are
    shapes = isotropic(names) if circles else shapes_of_file(args.predictions).of(names)
    result = {}
    for name in args.analysis:
        analysis = load_analysis(name)
        analysis.require_known(shipped_names() | index.keys())
        parts = measurement_errors(errors, analysis, index, shapes)
        numbers = [part.to_dict() for part in parts]
        print(f"{analysis.title}, {len(errors.cases)} images\n")
        print("\n".join(table(_TITLES, [cells(one) for one in numbers])) + "\n")
        result[name] = {"measurements": numbers, **classes(parts, numbers)}
    if args.json:
        write_atomic(args.json, json.dumps(result, indent=1, allow_nan=False) + "\n")
        print(f"numbers: {args.json}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--predictions", type=Path, help="file of test.py --json")
    source.add_argument(
        "--readers",
        type=Path,
        nargs=2,
        metavar="DIR",
        help="prepared folders of two readers; the second is true",
    )
    source.add_argument(
        "--repeats", type=Path, metavar="DIR", help="prepared folder with X-rays marked twice"
    )
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="prepared folder of other readers, for --predictions"
    )
    parser.add_argument("--subset", default="test", help="of --readers (test)")
    parser.add_argument(
        "--analysis",
        nargs="+",
        action=TakeAll,
        required=True,
        metavar="NAME",
        help=f"{', '.join(shipped_analyses())}, or FILE.json",
    )
    parser.add_argument("--isotropic", action="store_true", help="leave out the landmarks' shapes")
    parser.add_argument("--json", type=Path, help="write every number")
    args = parser.parse_args()
    if args.against and not args.predictions:
        parser.error("--against: goes with --predictions; the others name both sides already.")
    return args


def read(args: argparse.Namespace) -> tuple[Errors, LandmarkSet]:
    if args.readers:
        first, second = args.readers
        return errors_between_readers(first, second, args.subset), landmark_set_of(first)
    if args.repeats:
        return errors_between_markings(args.repeats), landmark_set_of(args.repeats)
    errors, landmark_set = errors_of_file(args.predictions)
    if args.against:
        errors = against_readers(errors, args.against, landmark_set)
    return errors, landmark_set


def cells(one: dict[str, Any]) -> tuple[str, ...]:
    """A measurement's row under ``_TITLES``."""
    decimals = 3 if one["unit"] == "ratio" else 2
    low, high = one["mean_absolute_error_ci95"]
    plain, without = one["as_labelled"], one["without_offset"]
    error = (
        f"{_text(one['mean_absolute_error'], decimals)} ({_text(low, decimals)} to {_text(high, decimals)})"
    )
    pairs = [
        f"{_text(plain[key], places)} / {_text(without[key], places)}"
        for key, places in (("rms_z", 2), ("within_1_percent", 0), ("within_95_percent", 0))
    ]
    return (
        f"{one['code']}{' mm' if one['unit'] == 'mm' and not one['code'].endswith('mm') else ''}",
        str(one["count"]),
        _text(one["mean_error"], decimals, sign="+"),
        _text(one["sd_error"], decimals),
        error,
        _text(one["spread"], decimals),
        _text(one["median_sd"], decimals),
        *pairs,
    )


def classes(parts: list[MeasurementErrors], numbers: list[dict[str, Any]]) -> dict[str, Any]:
    """The rates of the classes, printed and JSON-ready; empty where no measurement has classes.

    A measurement that no image has on both sides has none, and no part in the means.
    """
    with_classes = [one for one in numbers if one["classes"]]
    if not with_classes:
        return {}
    keys = list(with_classes[0]["classes"])
    known = [one["classes"] for one in with_classes if one["count"]]
    means = {key: float(np.mean([one[key] for one in known])) if known else None for key in keys}
    columns = [(one["code"], one["classes"]) for one in with_classes] + [("mean", means)]
    rows = [(name, *(_text(found[key], 1) for key in keys)) for name, found in columns]
    print("\n".join(table(_CLASS_TITLES, rows)) + "\n")
    reliability = class_reliability(parts) if any(np.isfinite(part.sd).any() for part in parts) else []
    if reliability:
        groups = [
            (str(one["decisions"]), f"{one['said_percent']:.1f}", f"{one['right_percent']:.1f}")
            for one in reliability
        ]
        print("\n".join(table(("decisions", "said %", "right %"), groups)) + "\n")
    return {"mean": means, "class_reliability": reliability}


def table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """A table in Markdown, its columns as wide as what is in them."""
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (titles, *rows)
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _text(value: float | None, decimals: int, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.{decimals}f}"


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"evaluate_measurements: {error}")

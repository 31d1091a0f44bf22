"""How far apart are two markings of the same X-ray? What the labels of a prepared folder allow.

    python tools/measure_repeatability.py --data data/isbi2015

Some X-rays come twice in a folder and were marked twice (datasets/prepared/repeats.py). The distance
between the two bounds what any model can reach against such labels: from the middle of all markings that
there could be, one of them is as far as two are apart over the square root of two, if errors are
independent and Gaussian.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.prepared.prepared import PreparedDataset  # noqa: E402
from datasets.prepared.subsets import read_header  # noqa: E402
from util.evaluation.landmarks.evaluation import LandmarkEvaluation, text_table  # noqa: E402
from util.evaluation.landmarks.metrics import Errors, Summary, summarise  # noqa: E402
from util.evaluation.landmarks.readers import errors_between_markings  # noqa: E402
from util.evaluation.landmarks.unit_names import named_by_unit, short  # noqa: E402
from util.files import write_atomic  # noqa: E402


def main() -> None:
    args = parse_args()
    errors = errors_between_markings(args.data)
    one = PreparedDataset(args.data, next(iter(read_header(args.data)["split"])))
    apart, bound = summarise(errors), summarise(shortened(errors, 1 / np.sqrt(2)))
    table = LandmarkEvaluation(
        errors=errors,
        summary=apart,
        landmark_set=one.landmark_set,
        labels=one.labels,
        checkpoint=args.data,  # no model: the second marking stands in its place
        folder=args.data,
        subset="repeats",
    )
    print(text_table(table))
    print(f"\n{len(errors.cases)} X-rays of {args.data} marked twice, {one.labels!r} labels")
    print(f"one marking from the other:              {in_words(apart)}")
    print(f"the middle of all markings from any one: {in_words(bound)}")
    if args.json:
        content = {
            "data": str(args.data),
            "labels": one.labels,
            "pairs": [case.split(" = ") for case in errors.cases],
            "apart": apart.to_dict(),
            "bound": bound.to_dict(),
        }
        content = named_by_unit(content, errors.unit)
        write_atomic(args.json, json.dumps(content, indent=1, allow_nan=False) + "\n")
        print(f"numbers: {args.json}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="prepared folder")
    parser.add_argument("--json", type=Path, help="write every number")
    return parser.parse_args()


def in_words(summary: Summary) -> str:
    low, high = summary.mre_ci95_mm
    sdr_low, sdr_high = summary.sdr_ci95_percent["2.0"]
    return (
        f"{summary.mre_mm:.3f} {summary.unit} ({low:.3f} to {high:.3f}), "
        f"{summary.sdr_percent['2.0']:.1f} % ({sdr_low:.1f} to {sdr_high:.1f}) within 2 {short(summary.unit)}"
    )


def shortened(errors: Errors, share: float) -> Errors:
    """The same errors, each ``share`` as long."""
    truth = np.nan_to_num(errors.truth)
    return replace(errors, predicted=truth + share * (errors.predicted - truth))


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"measure_repeatability: {error}")

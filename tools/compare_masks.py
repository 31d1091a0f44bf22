"""Compare two evaluations of masks on the same images, person by person.

    python tools/compare_masks.py A.json B.json
    python tools/compare_masks.py A.json B.json --first-seeds A1.json A2.json --other-seeds B1.json B2.json

A.json and B.json: what test.py --json wrote. Differences are B less A, with 95 % intervals over persons.
Further trainings of either are averaged with it, image by image.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from util.arguments import TakeAll  # noqa: E402
from util.evaluation.masks.mask_comparison import (  # noqa: E402
    MEASURES,
    EvaluatedMasks,
    compare_masks,
    comparison_table,
    mean_of_trainings,
    of_classes,
    read_evaluation,
    unit_in_words,
)
from util.files import write_atomic  # noqa: E402


def main() -> None:
    args = parse_args()
    first, other = (
        evaluated([file, *further], args.classes)
        for file, further in ((args.first, args.first_seeds), (args.other, args.other_seeds))
    )
    found = compare_masks(first, other, args.seed)
    for measure in args.measures:
        print(f"{measure}\n{comparison_table(found, measure)}\n")
    for which, further in (("first", args.first_seeds), ("other", args.other_seeds)):
        if further:
            print(f"{which}: means of {len(further) + 1} trainings.")
    print(f"{len(first.cases)} images of {len(set(first.persons))} persons. {unit_in_words(first)}")
    print("Differences are of the images that have the number in both, means of all that have it.")
    if args.json:
        files = {"first": str(args.first), "other": str(args.other)}
        seeds = {"first_seeds": [*map(str, args.first_seeds)], "other_seeds": [*map(str, args.other_seeds)]}
        record = {**files, **seeds, "lengths": unit_in_words(first), **found}
        write_atomic(args.json, json.dumps(record, indent=1, allow_nan=False) + "\n")


def evaluated(files: Sequence[Path], classes: Sequence[str] | None) -> EvaluatedMasks:
    found = mean_of_trainings([read_evaluation(file) for file in files])
    return found if classes is None else of_classes(found, classes)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path, help="JSON of test.py")
    parser.add_argument("other", type=Path, help="JSON of test.py on the same images")
    parser.add_argument(
        "--measures", nargs="+", action=TakeAll, choices=MEASURES, default=["dice", "assd"], help="shown"
    )
    seeds = {"type": Path, "nargs": "+", "action": TakeAll, "default": [], "metavar": "JSON"}
    parser.add_argument("--first-seeds", **seeds, help="further trainings of the first, averaged with it")
    parser.add_argument("--other-seeds", **seeds, help="further trainings of the other, averaged with it")
    parser.add_argument(
        "--classes", nargs="+", action=TakeAll, metavar="NAME", help="of these alone, their mean too"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (0)")
    parser.add_argument("--json", type=Path, help="write all measures")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"compare_masks: {error}")

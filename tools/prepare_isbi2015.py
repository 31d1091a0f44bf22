"""Prepare the ISBI 2015 cephalograms (19 landmarks) for training and evaluation.

    python tools/prepare_isbi2015.py --source ISBI2015 --output data/isbi2015

Splits: train and val from TrainingData (checkpoints are chosen on val), test = Test1Data, test2 = Test2Data.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

import numpy as np  # noqa: E402

from datasets.landmarks import isbi2015  # noqa: E402
from datasets.prepared.writer import write_prepared  # noqa: E402
from measurements.shapes import LEAST_CASES, shapes_of_readers  # noqa: E402
from util.files import sha256  # noqa: E402


def main() -> None:
    args = parse_args()
    sets = isbi2015.find_image_sets(args.source)
    for name, numbers in isbi2015.IMAGE_SETS.items():
        print(
            f"{name}: {len(sets[name])} of {len(numbers)} images"
            if name in sets
            else f"{name}: absent, left out"
        )
    images = {case: file for files in sets.values() for case, file in files.items()}
    split = isbi2015.assign_splits(sets, args.val, args.seed)
    learnt = [*split.get("train", ()), *split.get("val", ())]
    cases = {
        name: (
            case.shrunk(args.size) for case in isbi2015.read_cases(args.source, images, names, args.labels)
        )
        for name, names in split.items()
    }
    write_prepared(
        args.output,
        cases,
        landmark_set=isbi2015.LANDMARKS,
        labels=args.labels,
        created_by=f"tools/prepare_isbi2015.py --labels {args.labels} --size {args.size} --val {args.val}",
        source_files=source_hashes(args.source, images, args.labels),
        seed=args.seed,
        landmark_shapes=reader_shapes(args.source, learnt, args.labels),
    )
    print(", ".join(f"{name} {len(names)}" for name, names in split.items()), f"-> {args.output}")


def reader_shapes(source: Path, cases: Sequence[str], labels: str) -> dict[str, Any] | None:
    """Which way the doctors are unsure, from how they differ on ``cases``.

    None where ``labels`` are one doctor's, and where the cases are too few to tell.
    """
    if len(isbi2015.DOCTORS[labels]) < 2 or len(cases) < LEAST_CASES:
        return None
    files = [isbi2015.annotation_files(source, case, labels) for case in cases]
    first, second = (np.stack([isbi2015.read_annotation(pair[side]) for pair in files]) for side in (0, 1))
    names = isbi2015.LANDMARKS.abbreviations
    return shapes_of_readers(first, second, names, f"the two doctors on {len(cases)} X-rays").to_dict()


def source_hashes(source: Path, images: dict[str, Path], labels: str) -> dict[str, str]:
    """SHA-256 of every image and annotation file used, by its path below ``source``."""
    files = [
        file
        for case, image in sorted(images.items())
        for file in (image, *isbi2015.annotation_files(source, case, labels))
    ]
    return {file.relative_to(source).as_posix(): sha256(file) for file in files}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, required=True, help="folder with RawImage and AnnotationsByMD")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    parser.add_argument(
        "--labels", choices=list(isbi2015.DOCTORS), default="mean", help="whose landmarks (mean)"
    )
    parser.add_argument(
        "--size", type=int, default=1024, help="longer side in pixels (1024); 0 keeps the original"
    )
    parser.add_argument("--val", type=int, default=15, help="training images held out as val (15)")
    parser.add_argument("--seed", type=int, default=0, help="of the hold-out (0)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"prepare_isbi2015: {error}")

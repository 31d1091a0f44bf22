"""Generate the phantom data set: synthetic cephalograms, nothing to download.

    python tools/prepare_phantom.py --output data/phantom                          # 38 exact landmarks
    python tools/prepare_phantom.py --task boxes --output data/phantom_boxes       # teeth and bones as boxes

Case i is a pure function of (seed, i), so the number of processes changes nothing but the time.
"""

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from datasets.boxes.writer import write_boxes
from datasets.phantoms.lazily import lazily
from datasets.phantoms.parts import PART_CLASSES
from datasets.phantoms.phantom import Phantom
from datasets.prepared.writer import PreparedCase, write_prepared


def main() -> None:
    args = parse_args()
    phantom = Phantom(args.size, args.seed, args.missing)
    counts = {"train": args.train, "val": args.val, "test": args.test}
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"--{name} {count}: expected at least 1 case.")
    if args.processes < 1:
        raise ValueError(f"--processes {args.processes}: expected at least 1.")
    with get_context("spawn").Pool(args.processes, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        {"landmarks": write_landmarks, "boxes": write_part_boxes}[args.task](phantom, counts, pool, args)
    print(", ".join(f"{name} {count}" for name, count in counts.items()), f"-> {args.output}")


def write_landmarks(phantom: Phantom, counts: dict[str, int], pool: Pool, args: argparse.Namespace) -> None:
    write_prepared(
        args.output,
        case_streams(phantom, counts, pool),
        landmark_set=phantom.landmark_set,
        labels="exact",
        created_by=f"tools/prepare_phantom.py --size {args.size} --missing {args.missing}",
        source_files={},
        seed=args.seed,
    )


def write_part_boxes(phantom: Phantom, counts: dict[str, int], pool: Pool, args: argparse.Namespace) -> None:
    """Records first, which take little; then their images, drawn in the order in which they are written."""
    numbers = iter(range(sum(counts.values())))
    splits = {
        name: [phantom.boxes(index) for index in islice(numbers, count)] for name, count in counts.items()
    }
    images = lazily(pool, partial(Phantom.image, phantom), range(sum(counts.values())))
    about = {
        "labels": "exact",
        "created_by": f"tools/prepare_phantom.py --task boxes --size {args.size}",
        "source_files": {},
        "seed": args.seed,
    }
    write_boxes(args.output, splits, PART_CLASSES, about=about, colour=False, read=lambda _: next(images))


def case_streams(phantom: Phantom, counts: dict[str, int], pool: Pool) -> dict[str, Iterator[PreparedCase]]:
    """Cases of each split in order; indices run on from one split to the next."""
    streams, start = {}, 0
    for name, count in counts.items():
        streams[name] = lazily(pool, partial(Phantom.case, phantom), range(start, start + count))
        start += count
    return streams


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--task", choices=("landmarks", "boxes"), default="landmarks", help="what is annotated (landmarks)"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    parser.add_argument("--train", type=int, default=200, help="training cases (200)")
    parser.add_argument("--val", type=int, default=40, help="validation cases (40)")
    parser.add_argument("--test", type=int, default=60, help="test cases (60)")
    parser.add_argument("--size", type=int, default=640, help="image height in pixels (640)")
    parser.add_argument("--seed", type=int, default=0, help="of every case (0)")
    parser.add_argument("--missing", type=float, default=0.02, help="share of landmarks left out (0.02)")
    parser.add_argument("--processes", type=int, default=2, help="processes that draw (2)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"prepare_phantom: {error}")

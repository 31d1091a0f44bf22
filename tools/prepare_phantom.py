"""Generate the phantom data set: synthetic cephalograms with exact landmarks, nothing to download.

    python tools/prepare_phantom.py --output data/phantom

Case i is a pure function of (seed, i), so the number of processes changes nothing but the time.
"""

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

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
        write_prepared(
            args.output,
            case_streams(phantom, counts, pool),
            landmark_set=phantom.landmark_set,
            labels="exact",
            created_by=f"tools/prepare_phantom.py --size {args.size} --missing {args.missing}",
            source_files={},
            seed=args.seed,
        )
    print(", ".join(f"{name} {count}" for name, count in counts.items()), f"-> {args.output}")


def case_streams(phantom: Phantom, counts: dict[str, int], pool: Pool) -> dict[str, Iterator[PreparedCase]]:
    """Cases of each split in order; indices run on from one split to the next."""
    streams, start = {}, 0
    for name, count in counts.items():
        streams[name] = lazily(pool, phantom, range(start, start + count))
        start += count
    return streams


def lazily(pool: Pool, phantom: Phantom, indices: range) -> Iterator[PreparedCase]:
    """Cases in order, made a few at a time and only once someone asks, so that memory stays small."""
    step = 16
    for start in range(indices.start, indices.stop, step):
        yield from pool.map(
            partial(make, phantom), range(start, min(start + step, indices.stop)), chunksize=2
        )


def make(phantom: Phantom, index: int) -> PreparedCase:
    return phantom.case(index)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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

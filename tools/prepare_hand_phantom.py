"""Prepare hand phantoms: synthetic X-rays of hands with 29 overlapping bones, exactly labelled; no download.

    python tools/prepare_hand_phantom.py --output data/phantom_hand

Two images a person, a right and a left hand. Few wrists of train and val are bent to the little finger's
side, half of those of test (--bent, --test-bent): a model that never saw a bent wrist is found out.
"""

import argparse
import sys
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.masks.hand_task import HAND  # noqa: E402
from datasets.masks.writer import write_masks  # noqa: E402
from datasets.phantoms.hand import HandPhantom  # noqa: E402
from datasets.phantoms.lazily import lazily  # noqa: E402


def main() -> None:
    args = parse_args()
    counts = {"train": args.train, "val": args.val, "test": args.test}
    for name, count in counts.items():
        if count < 2 or count % 2:
            raise ValueError(f"--{name} {count}: expected an even number of images from 2 on, two a person.")
    if args.processes < 1:
        raise ValueError(f"--processes {args.processes}: expected at least 1.")
    phantoms = {name: HandPhantom(args.size, args.seed, args.bent) for name in ("train", "val")}
    phantoms["test"] = HandPhantom(args.size, args.seed, args.test_bent)
    with get_context("spawn").Pool(args.processes, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        streams, start = {}, 0
        for name, count in counts.items():
            streams[name] = lazily(
                pool, partial(HandPhantom.case, phantoms[name]), range(start, start + count)
            )
            start += count
        write_masks(
            args.output,
            streams,
            class_set=HAND,
            labels="exact",
            created_by=f"tools/prepare_hand_phantom.py --size {args.size} --bent {args.bent} "
            f"--test-bent {args.test_bent}",
            source_files={},
            seed=args.seed,
        )
    print(", ".join(f"{name} {count}" for name, count in counts.items()), f"-> {args.output}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    parser.add_argument("--train", type=int, default=200, help="training images (200)")
    parser.add_argument("--val", type=int, default=40, help="validation images (40)")
    parser.add_argument("--test", type=int, default=60, help="test images (60)")
    parser.add_argument("--size", type=int, default=512, help="width and height in pixels (512)")
    parser.add_argument("--seed", type=int, default=0, help="of every case (0)")
    parser.add_argument("--bent", type=float, default=0.1, help="share of bent wrists in train and val (0.1)")
    parser.add_argument("--test-bent", type=float, default=0.5, help="share of bent wrists in test (0.5)")
    parser.add_argument("--processes", type=int, default=2, help="processes that draw (2)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"prepare_hand_phantom: {error}")

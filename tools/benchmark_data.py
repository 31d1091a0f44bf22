"""How many augmented images a second the training pipeline delivers from a prepared folder.

    python tools/benchmark_data.py --data data/isbi2015 --subset train --workers 2 --seconds 20

Batches come from the loader that training uses; the start of the workers is not counted. The steps of one
image, measured one by one in this process, say where the time goes.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

import cv2
import numpy as np

from datasets.landmarks.batch import collate
from datasets.loader import TrainSampler, train_loader
from datasets.prepared.prepared import PreparedDataset
from datasets.sample import Batch
from util.config import instantiate, load_config
from util.files import write_atomic


def main() -> None:
    args = parse_args()
    if args.workers < 0 or args.seconds <= 0 or args.images < 1:
        raise ValueError(
            f"--workers {args.workers} --seconds {args.seconds} --images {args.images}: "
            "expected at least 0, more than 0 and at least 1."
        )
    config = load_config(args.config_file)
    folder = args.data or Path(config.data.folder)
    dataset = PreparedDataset(folder, args.subset, instantiate(config.train_transforms))
    steps = time_steps(dataset, args.images)
    sampler = TrainSampler(len(dataset), config.train.batch_size, seed=0)
    batches = iter(train_loader(dataset, sampler, args.workers, collate=collate))
    report = {
        "images_per_second": images_per_second(batches, args.seconds, warmup=2 * args.workers + 1),
        "steps_ms": steps,
        "data": str(folder),
        "subset": args.subset,
        "config_file": str(args.config_file),
        "batch_size": config.train.batch_size,
        "workers": args.workers,
        "cores": os.cpu_count(),
    }
    print_report(report)
    if args.json is not None:
        write_atomic(args.json, json.dumps(report, indent=1) + "\n")


def images_per_second(batches: Iterator[Batch], seconds: float, warmup: int) -> float:
    """Rate over about ``seconds``, after ``warmup`` batches: workers run and their queues are full."""
    for _ in range(warmup):
        next(batches)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        count += len(next(batches))
    return count / elapsed


def time_steps(dataset: PreparedDataset, count: int) -> dict[str, float]:
    """Mean milliseconds an image of decoding, transforming and collating, without workers.

    The mean, not the median: a transform does its slow operations to some of the images only.
    """
    cv2.setNumThreads(0)  # as in a worker
    assert dataset.transforms is not None, "main builds the dataset with transforms"
    rows = []
    for number in range(count + 1):
        rng = np.random.default_rng(number)
        times = [time.perf_counter()]
        sample = dataset.load(number % len(dataset))
        times.append(time.perf_counter())
        sample = dataset.transforms(sample, rng)
        times.append(time.perf_counter())
        collate([sample])
        times.append(time.perf_counter())
        rows.append(1e3 * np.diff(times))
    decode, transform, stack = np.mean(rows[1:], axis=0).tolist()  # the first image also loads libraries
    return {"decode": decode, "transforms": transform, "collate": stack}


def print_report(report: dict[str, Any]) -> None:
    steps = ", ".join(f"{name} {ms:.2f}" for name, ms in report["steps_ms"].items())
    print(
        f"{report['images_per_second']:.1f} augmented images a second from {report['data']} "
        f"({report['subset']}), {report['workers']} workers, {report['cores']} cores"
    )
    print(f"mean ms an image in one process: {steps}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", type=Path, default="configs/train_config.py")
    parser.add_argument("--data", type=Path, help="prepared folder (the config's)")
    parser.add_argument("--subset", default="train")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--images", type=int, default=100, help="for the single steps (100)")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"benchmark_data: {error}")

"""What masks of one large X-ray cost: seconds and peak memory, whole and in windows.

    python tools/measure_masks.py --model-config configs/masks/models/neck_resnet18.py \\
        configs/masks/models/unet_resnet18.py --side 2048

From grey values in memory to masks in pixels of the X-ray, as `inference.py` goes. A row is a process of its
own, which builds the model, looks once to warm up and then `--repeats` times: the medians, and the largest
memory, Python and PyTorch included. "forward" is the model's forward pass and one threshold, nothing else.
Weights and X-ray are random: neither time nor memory depends on them.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

import numpy as np
import torch

from datasets.files.image_files import SourceImage
from models.masks.mask_model import MaskModel, enlarged
from models.precision import exact_inference
from tasks.masks import MaskTask
from util.arguments import TakeAll, positive
from util.benchmark.peak_memory import alone, peak_rss_mib
from util.benchmark.subject import Source
from util.prediction.masks.looks import MaskLooks
from util.prediction.masks.predict import MaskFinder, Member

_WAYS = ("forward", "whole", "windows")
_OVERLAP = 0.5
_ADVICE = "Use a smaller --side, or --ways windows."


@dataclass(frozen=True)
class Row:
    """One model and one way to look at the X-ray."""

    file: Path
    way: str  # one of _WAYS
    side: int  # of the X-ray, and of the canvas
    window: int
    classes: int
    threads: int
    repeats: int


def main() -> None:
    args = parse_arguments()
    print(f"{args.side}x{args.side} pixels, {args.classes} classes, {args.threads} threads, fp32")
    print(f"{'model':24s}{'looks at':12s}{'seconds':>9s}{'processor':>11s}{'peak GiB':>10s}")
    for file in args.model_config:
        for way in args.ways:
            row = Row(file, way, args.side, args.window, args.classes, args.threads, args.repeats)
            seconds, processor, peak = alone(file, _ADVICE, measured, row)
            print(f"{file.stem:24s}{way:12s}{seconds:9.1f}{processor:11.1f}{peak:10.2f}", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model-config", type=Path, nargs="+", action=TakeAll, required=True, metavar="F")
    parser.add_argument("--side", type=multiple_of_32, default=2048, help="pixels of the X-ray (2048)")
    parser.add_argument("--window", type=multiple_of_32, default=512, help="pixels of a window (512)")
    parser.add_argument("--classes", type=positive(int), default=29)
    parser.add_argument(
        "--ways", nargs="+", action=TakeAll, choices=_WAYS, default=_WAYS, help="what to measure (all)"
    )
    parser.add_argument("--threads", type=positive(int), default=torch.get_num_threads())
    parser.add_argument("--repeats", type=positive(int), default=3)
    return parser.parse_args()


def multiple_of_32(text: str) -> int:
    side = positive(int)(text)
    if side % 32:
        raise argparse.ArgumentTypeError(
            f"{side}: expected a multiple of 32, such as {side + 32 - side % 32}"
        )
    return side


def measured(row: Row) -> tuple[float, float, float]:
    """Seconds by the clock and of processor time, medians, and the process's peak in GiB."""
    torch.set_num_threads(row.threads)
    look = way_of(row)
    look()
    times = [timed(look) for _ in range(row.repeats)]
    return median(clock for clock, _ in times), median(own for _, own in times), peak_rss_mib() / 2**10


def timed(look: Callable[[], object]) -> tuple[float, float]:
    clock, own = time.perf_counter(), time.process_time()
    look()
    return time.perf_counter() - clock, time.process_time() - own


def way_of(row: Row) -> Callable[[], object]:
    """What is timed. Raises ValueError where the config holds no model of masks."""
    model: Any = Source("model_config", row.file, (row.side, row.side), row.classes).build(
        torch.device("cpu")
    )
    if not isinstance(model, MaskModel):
        raise ValueError(
            f"{row.file}: {type(model).__name__} finds no masks. Give a config of configs/masks."
        )
    grey = np.random.default_rng(0).integers(0, 256, (row.side, row.side), np.uint8)
    if row.way == "forward":
        return lambda: forward(model, grey)
    canvas = row.window if row.way == "windows" else row.side
    looks = MaskLooks((row.file,), (row.side / canvas,), windows=_OVERLAP if row.way == "windows" else None)
    classes = MaskTask().example_meaning(row.classes).class_set
    finder = MaskFinder([Member(model, classes, (canvas, canvas))], looks)
    image = SourceImage(grey, np.full(2, np.nan), row.file, None)
    return lambda: finder([image])


def forward(model: MaskModel, grey: np.ndarray) -> torch.Tensor:
    with torch.inference_mode(), exact_inference():
        outputs = model(torch.from_numpy(grey)[None, None].float() / 255.0)
        return enlarged(outputs.logits, grey.shape) > 0.0


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"measure_masks.py: {error}")

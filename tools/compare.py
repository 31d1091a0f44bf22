"""One table and one picture over runs that were evaluated on the same images.

    python tools/compare.py runs/detr runs/unet --output outputs/compare

Each argument is a file of test.py --json, or a run folder or checkpoint with such a test.json in its folder.
Differences are to the first. Latency is measured here, all models in turn, each on one random image of the
size that it was trained on; --no-latency leaves it out. Writes compare.md, compare.json and compare.png.
Boxes: AP, AP50 and AP75 with paired intervals, no latency and no picture.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

import numpy as np
import torch

from util.arguments import add_device_argument
from util.benchmark.subject import run
from util.benchmark.timing import CLOCKS, Stopwatch, time_in_turn
from util.checkpoints.checkpoint import load_model
from util.evaluation.boxes.box_comparison import box_table, compare_boxes, read_boxes, require_same_truth
from util.evaluation.evaluation_file import evaluation_file, task_name
from util.evaluation.landmarks.comparison import (
    EvaluatedRun,
    compare,
    named_apart,
    read_run,
    require_comparable,
)
from util.evaluation.landmarks.comparison_tables import markdown_table, note, text_table
from util.evaluation.landmarks.unit_names import named_by_unit
from util.files import write_atomic
from util.prediction.predictor import pick_device
from util.reporting.figures import comparison_picture, png


def main() -> None:
    args = parse_args()
    if args.repeats < 1 or (args.threads is not None and args.threads < 1):
        raise ValueError(
            f"--repeats {args.repeats}, --threads {args.threads}: expected whole numbers of at least 1."
        )
    tasks = {task_name(evaluation_file(path)) for path in args.runs}
    if len(tasks) > 1:
        raise ValueError(
            f"{', '.join(map(str, args.runs))}: evaluations of {sorted(tasks)}, expected one task."
        )
    if tasks == {"masks"}:
        raise ValueError("evaluations of masks: compare them by tools/compare_masks.py, two at a time.")
    if tasks == {"boxes"}:
        compare_detectors(args)
    else:
        compare_landmarks(args)


def compare_landmarks(args: argparse.Namespace) -> None:
    """Errors with intervals, paired differences to the first, and times."""
    runs = named_apart([read_run(path) for path in args.runs])
    require_comparable(runs)
    rows = compare(runs)
    if not args.no_latency:
        for row, speed in zip(rows, measure_speed(runs, args), strict=True):
            row |= speed
    print(text_table(rows))
    print(f"\n{len(runs[0].cases)} images, {runs[0].labels!r} labels. {note(rows)}")
    if not args.no_latency:
        print(f"ms: median of {args.repeats} images, batch 1, fp32, {where_timed(args)}.")
    if args.output is not None:
        write_outputs(runs, rows, args)


def compare_detectors(args: argparse.Namespace) -> None:
    """Boxes: AP with intervals, and paired differences to the first. Times are tools/benchmark_model.py's."""
    files = [evaluation_file(path) for path in args.runs]
    names = [path.stem if path.suffix == ".json" else path.name for path in args.runs]
    if len(set(names)) < len(names):
        names = [str(path) for path in args.runs]
    runs = [read_boxes(file, name) for file, name in zip(files, names, strict=True)]
    require_same_truth(runs)
    rows = compare_boxes(runs)
    table = box_table(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print("\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in table))
    print(f"\n{len(runs[0].results.cases)} images. In %; in brackets 95 % intervals, whole images drawn.")
    if args.output is not None:
        record = {"cases": list(runs[0].results.cases), "runs": rows}
        write_atomic(args.output / "compare.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
        lines = [f"| {' | '.join(row)} |" for row in (table[0], ["---"] * len(table[0]), *table[1:])]
        write_atomic(args.output / "compare.md", "\n".join(lines) + "\n")
        print(f"table and numbers: {args.output}")


def measure_speed(runs: Sequence[EvaluatedRun], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Median milliseconds of one image, its size, and millions of parameters, of every run's checkpoint.

    Raises ValueError for an ensemble or several looks, which no single model's time stands for.
    """
    for evaluated in runs:
        if not evaluated.one_look:
            raise ValueError(
                f"{evaluated.file}: several models or looks at each image, whose time is not measured here. "
                "Add --no-latency."
            )
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    device = pick_device(args.device)
    calls, facts = {}, []
    for index, evaluated in enumerate(runs):
        loaded = load_model(evaluated.checkpoint, device)
        height, width = loaded.config.eval_transforms.size
        image = torch.rand(1, 1, height, width, device=device)
        calls[str(index)] = partial(run, loaded.model, image, "fp32")
        params = sum(parameter.numel() for parameter in loaded.model.parameters())
        facts.append({"size": [height, width], "params_m": params / 1e6})
    times = time_in_turn(calls, args.repeats, Stopwatch.on(device, args.clock))
    medians = [float(np.median(times[str(index)])) for index in range(len(runs))]
    return [fact | {"p50_ms": median} for fact, median in zip(facts, medians, strict=True)]


def where_timed(args: argparse.Namespace) -> str:
    device = pick_device(args.device)
    place = f"{torch.get_num_threads()} CPU threads" if device.type == "cpu" else str(device)
    return f"{place}, {args.clock} clock"


def write_outputs(runs: Sequence[EvaluatedRun], rows: list[dict[str, Any]], args: argparse.Namespace) -> None:
    origin = {"cases": list(runs[0].cases), "labels": runs[0].labels}
    timing = {} if args.no_latency else {"timed_on": where_timed(args), "repeats": args.repeats}
    content = {**origin, **timing, "runs": named_by_unit(rows, runs[0].unit)}
    text = json.dumps(content, indent=1, allow_nan=False)
    write_atomic(args.output / "compare.json", text + "\n")
    write_atomic(args.output / "compare.md", markdown_table(rows))
    errors = {evaluated.name: evaluated.radial_mm for evaluated in runs}
    latency = None if args.no_latency else {row["name"]: row["p50_ms"] for row in rows}
    write_atomic(args.output / "compare.png", png(comparison_picture(errors, latency, runs[0].unit)))
    print(f"table, numbers and picture: {args.output}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="test.json, run folder or .pt")
    parser.add_argument("--output", type=Path, help="folder for compare.md, compare.json and compare.png")
    parser.add_argument("--no-latency", action="store_true", help="needs no checkpoint, only the JSON files")
    parser.add_argument("--repeats", type=int, default=20, help="timed images of each model (20)")
    add_device_argument(parser, default="cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (PyTorch's own choice)")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: time computed here only")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"compare: {error}")

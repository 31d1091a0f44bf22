"""Evaluate a checkpoint on prepared data: a table, and as asked JSON, overlays and an HTML report.

python test.py --checkpoint runs/NAME/best.pt --report report.html

In N processes, each on its share of the images: torchrun --nproc_per_node N test.py ...

Several checkpoints are evaluated as one ensemble; a task may have more ways to look at an image
(docs/test_time.md). ``--help`` after ``--checkpoint F`` shows those of its task.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from accelerate import PartialState
from tqdm import tqdm

from datasets.loader import eval_loader
from util.arguments import (
    TakeAll,
    add_data_arguments,
    add_model_config_argument,
    checkpoints_of,
    escape_on_console,
    model_config_of,
    positive,
)
from util.checkpoints.described import load_described, task_of_described
from util.evaluation.data import open_dataset
from util.evaluation.report import Evaluation
from util.files import write_atomic
from util.prediction.predictor import pick_device, require_one_task
from util.prediction.protocols import Looks
from util.reporting.visualise import write_png
from util.training.engine import evaluate_shared
from util.training.task import Task


def main() -> None:
    escape_on_console()
    args, task = parse_arguments()
    looks = task.looks(args)
    device = pick_device(args.device)
    processes = PartialState(cpu=device.type == "cpu")
    if processes.num_processes > 1:
        device = processes.device or device
        require_plain(looks, processes.num_processes)
    require_one_task(task, looks.checkpoints, args.model_config)
    models = [load_described(file, args.model_config, device) for file in looks.checkpoints]
    dataset = open_dataset(models[0], args.data, args.subset)
    if looks.plain:
        results = evaluate_shared(task, models[0].model, own_batches(task, dataset, processes, args), device)
        part(processes)
    else:
        predictor = looks.predictor([task.predictor(model) for model in models])
        cases = tqdm(range(len(dataset)), desc="evaluating", unit="image")
        results = task.evaluated(predictor, map(dataset.load, cases), args.batch_size)
    if not processes.is_main_process:
        return
    evaluation = task.evaluation(results, dataset, looks, [model.meaning for model in models])
    print(evaluation.text())
    write_results(evaluation, task, dataset, args)


def parse_arguments() -> tuple[argparse.Namespace, Task]:
    """The arguments, and the task of the checkpoint, which has some of its own."""
    parser = argparse.ArgumentParser(description="Evaluate a checkpoint on prepared data.")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        nargs="+",
        action=TakeAll,
        required=True,
        metavar="F",
        help="RUN/best.pt; several: an ensemble",
    )
    add_model_config_argument(parser)
    task = task_of_described(checkpoints_of(sys.argv[1:])[0], model_config_of(sys.argv[1:]))
    task.add_look_arguments(parser)
    add_data_arguments(parser)
    parser.add_argument("--batch-size", type=positive(int), default=8)
    parser.add_argument(
        "--show-dir", type=Path, help="write an overlay an image: truth red, prediction green"
    )
    parser.add_argument("--json", type=Path, help="write every number, each image's included")
    parser.add_argument("--report", type=Path, help="write a self-contained HTML report")
    return parser.parse_args(), task


def require_plain(looks: Looks, num_processes: int) -> None:
    """Raise ValueError unless ``looks`` can be shared out to several processes."""
    if not looks.plain:
        raise ValueError(
            f"{num_processes} processes, expected one: an ensemble, --scales and --crop are not shared out. "
            "Start test.py without a launcher."
        )


def own_batches(task: Task, dataset: Any, processes: PartialState, args: argparse.Namespace) -> Any:
    """This process's share of the images, with a progress bar."""
    share = {"rank": processes.process_index, "num_ranks": processes.num_processes}
    loader: Any = eval_loader(dataset, args.batch_size, args.workers, collate=task.collate, **share)
    return tqdm(loader, desc="evaluating", unit="batch", disable=not processes.is_main_process)


def part(processes: PartialState) -> None:
    """End the talk between the processes. One that ends with it open may abort: its threads still listen."""
    processes.wait_for_everyone()
    processes.destroy_process_group()


def write_results(evaluation: Evaluation, task: Task, dataset: Any, args: argparse.Namespace) -> None:
    """What the command line asked for. Images are read again, one at a time."""
    if args.json:
        write_atomic(args.json, json.dumps(evaluation.to_dict(), indent=1, allow_nan=False) + "\n")
        print(f"numbers:  {args.json}")
    if args.show_dir:
        for index, case in enumerate(tqdm(dataset.cases, desc="overlays", unit="image")):
            write_png(args.show_dir / f"{case}.png", evaluation.overlay(index, dataset.load(index).image))
        print(f"overlays: {args.show_dir}")
    if args.report:
        task.write_report(args.report, evaluation, lambda index: dataset.load(index).image)
        print(f"report:   {args.report}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, NotImplementedError) as error:
        sys.exit(f"test.py: {error}")

"""Evaluate a checkpoint on prepared data: a table, and as asked JSON, overlays and an HTML report.

python test.py --checkpoint runs/NAME/best.pt --report report.html

In N processes, each on its share of the images: torchrun --nproc_per_node N test.py ...

Several checkpoints are evaluated as one ensemble; --scales and --crop look at each image more than once
(docs/test_time.md).
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from accelerate import PartialState
from tqdm import tqdm

from datasets.landmarks.batch import collate
from datasets.loader import eval_loader
from datasets.prepared.prepared import PreparedDataset
from util.arguments import add_data_arguments, positive
from util.checkpoints.checkpoint import load_model
from util.evaluation.landmarks.evaluate_predictor import evaluate_predictor
from util.evaluation.landmarks.evaluation import Evaluation, text_table
from util.evaluation.landmarks.evaluation_data import open_dataset
from util.evaluation.landmarks.metrics import summarise
from util.files import write_atomic
from util.prediction.landmarks.looks import Looks, add_arguments
from util.prediction.landmarks.predict import LandmarkPredictor, pick_device
from util.reporting.visualise import overlay, write_png
from util.training.engine import evaluate_shared


def main() -> None:
    args = parse_arguments()
    looks = Looks.of(args)
    device = pick_device(args.device)
    processes = PartialState(cpu=device.type == "cpu")
    if processes.num_processes > 1:
        device = processes.device or device
        require_plain(looks, processes.num_processes)
    models = [load_model(file, device) for file in looks.checkpoints]
    dataset = open_dataset(models[0], args.data, args.subset)
    if looks.plain:
        labels = models[0].labels
        errors = evaluate_shared(models[0].model, own_batches(dataset, processes, args), device)
        part(processes)
    else:
        predictor = looks.predictor([LandmarkPredictor(model) for model in models])
        labels = predictor.labels
        cases = tqdm(range(len(dataset)), desc="evaluating", unit="image")
        errors = evaluate_predictor(predictor, map(dataset.load, cases), args.batch_size)
    if not processes.is_main_process:
        return
    evaluation = Evaluation(
        errors=errors,
        summary=summarise(errors),
        landmark_set=dataset.landmark_set,
        labels=dataset.labels,
        checkpoint=args.checkpoint[0],
        folder=dataset.folder,
        subset=dataset.subset,
        looks=looks,
        repeated=dataset.repeated,
    )
    print_results(evaluation, labels)
    write_results(evaluation, dataset, args)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Evaluate a checkpoint on prepared data.")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        nargs="+",
        required=True,
        metavar="F",
        help="RUN/best.pt; several: an ensemble",
    )
    add_arguments(parser)
    add_data_arguments(parser)
    parser.add_argument("--batch-size", type=positive(int), default=8)
    parser.add_argument(
        "--show-dir", type=Path, help="write an overlay an image: truth red, prediction green"
    )
    parser.add_argument("--json", type=Path, help="write every number, errors and points included")
    parser.add_argument("--report", type=Path, help="write a self-contained HTML report")
    return parser.parse_args()


def require_plain(looks: Looks, num_processes: int) -> None:
    """Raise ValueError unless ``looks`` can be shared out to several processes."""
    if not looks.plain:
        raise ValueError(
            f"{num_processes} processes, expected one: an ensemble, --scales and --crop are not shared out. "
            "Start test.py without a launcher."
        )


def own_batches(dataset: PreparedDataset, processes: PartialState, args: argparse.Namespace) -> Any:
    """This process's share of the images, with a progress bar."""
    share = {"rank": processes.process_index, "num_ranks": processes.num_processes}
    loader: Any = eval_loader(dataset, args.batch_size, args.workers, collate=collate, **share)
    return tqdm(loader, desc="evaluating", unit="batch", disable=not processes.is_main_process)


def part(processes: PartialState) -> None:
    """End the talk between the processes. One that ends with it open may abort: its threads still listen."""
    processes.wait_for_everyone()
    processes.destroy_process_group()


def print_results(evaluation: Evaluation, labels: str) -> None:
    """``labels``: what the model learnt from, or the models."""
    summary = evaluation.summary
    print(text_table(evaluation))
    print(f"\n{summary.num_images} images of {evaluation.folder}, subset {evaluation.subset}")
    print(f"measured against {evaluation.labels!r} labels; trained on {labels!r} labels")
    if evaluation.looks and not evaluation.looks.plain:
        print(f"test-time options: {evaluation.looks}")
    rates = ", ".join(f"{rate:.2f} % within {key} mm" for key, rate in summary.sdr_percent.items())
    print(f"MRE {summary.mre_mm:.3f} mm; {rates}")
    if evaluation.repeated:
        print(repeated_line(evaluation))
    print(offset_line(evaluation))
    print(uncertainty_line(evaluation))


def repeated_line(evaluation: Evaluation) -> str:
    """What the images come to that neither train nor val has under another name, in one line."""
    start = f"{len(evaluation.repeated)} of these X-rays are in train or val too"
    others = evaluation.unrepeated
    if others is None:
        return f"{start}: nothing is left that was not seen before"
    interval = "{:.3f} to {:.3f}".format(*others.mre_ci95_mm)
    rate = f"{others.sdr_percent['2.0']:.2f} % within 2 mm"
    return f"{start}; without them: MRE {others.mre_mm:.3f} mm ({interval}), {rate}"


def offset_line(evaluation: Evaluation) -> str:
    """How much of the error is the same in every image, in one line."""
    found, names = evaluation.systematic, evaluation.landmark_set.landmarks
    largest = ", ".join(
        "{} ({:+.2f}, {:+.2f})".format(names[k], *found.offset_mm[k]) for k in found.largest(3)
    )
    return f"offsets: MRE {found.mre_mm:.3f} mm without each landmark's mean error; largest, in mm: {largest}"


def uncertainty_line(evaluation: Evaluation) -> str:
    """How far the predicted uncertainty can be believed, in one line."""
    found, without = evaluation.reliability, evaluation.coverage_without_offsets
    held = ", ".join(
        f"{share} % radius holds {percent:.1f} %"
        + (f" ({without[share]:.1f} without the offsets)" if without else "")
        for share, percent in found.coverage_percent.items()
    )
    gross = "no error over 4 mm"
    if found.flagged_percent is not None:
        gross = f"the 5 % most uncertain hold {found.flagged_percent:.0f} % of the errors over 4 mm"
    return f"uncertainty: {held} of the errors; {gross}; calibration error {found.error_percent:.1f} %"


def write_results(evaluation: Evaluation, dataset: PreparedDataset, args: argparse.Namespace) -> None:
    """What the command line asked for. Images are read again, one at a time."""
    if args.json:
        write_atomic(args.json, json.dumps(evaluation.to_dict(), indent=1, allow_nan=False) + "\n")
        print(f"numbers:  {args.json}")
    if args.show_dir:
        write_overlays(evaluation, dataset, args.show_dir)
        print(f"overlays: {args.show_dir}")
    if args.report:
        from util.reporting.report import write_report  # matplotlib takes seconds to import

        write_report(args.report, evaluation, lambda index: dataset.load(index).image)
        print(f"report:   {args.report}")


def write_overlays(evaluation: Evaluation, dataset: PreparedDataset, folder: Path) -> None:
    errors = evaluation.errors
    radius = errors.uncertainty_mm / errors.spacing.mean(-1, keepdims=True)  # (N, K) pixels
    for index, case in enumerate(tqdm(errors.cases, desc="overlays", unit="image")):
        image = dataset.load(index).image
        drawn = overlay(image, errors.predicted[index], truth=errors.truth[index], radius=radius[index])
        write_png(folder / f"{case}.png", drawn)


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"test.py: {error}")

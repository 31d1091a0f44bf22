"""Evaluate checkpoints on images as another machine might have made them, beside the images as they are.

    python tools/evaluate_shifts.py --checkpoint runs/unet/best.pt runs/detr/best.pt --bar 1.3

Per shift: mean radial error (MRE) and shares of errors on the shifted copies, and of the same
landmarks on the unshifted images. docs/domain_shift.md describes the shifts.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from torch.utils.data import Subset
from tqdm import tqdm

from datasets.landmarks.batch import collate
from datasets.loader import eval_loader
from datasets.prepared.prepared import PreparedDataset
from transforms.shifts import SHIFTS, ShiftedTransforms
from util.arguments import TakeAll, add_data_arguments, positive
from util.checkpoints.checkpoint import LoadedModel, load_model
from util.config import instantiate
from util.evaluation.data import open_dataset
from util.evaluation.landmarks.metrics import Errors
from util.evaluation.landmarks.shift_comparison import (
    UNSHIFTED,
    effect_table,
    over_bar,
    shift_effects,
    shift_record,
    side_by_side,
)
from util.evaluation.landmarks.shift_pictures import shift_sheet
from util.files import write_atomic
from util.inspection.landmarks.dataset_pictures import spread_cases
from util.prediction.predictor import pick_device
from util.reporting.visualise import require_free_folder, write_png
from util.training.engine import evaluate


def main() -> None:
    args = parse_arguments()
    if args.show_dir:
        require_free_folder(args.show_dir)
    models = [load_model(file, pick_device(args.device)).of("landmarks") for file in args.checkpoint]
    folder = args.data or open_dataset(models[0], None, args.subset).folder  # one for all checkpoints
    datasets = [open_dataset(loaded, folder, args.subset) for loaded in models]
    errors = [measure(loaded, dataset, args) for loaded, dataset in zip(models, datasets, strict=True)]
    print_tables(errors, args)
    print(
        f"\n{len(errors[0][UNSHIFTED].cases)} of {len(datasets[0])} images of {folder}, subset {args.subset}"
    )
    print(f"measured against {datasets[0].labels!r} labels")
    write_results(errors, datasets[0], args)
    require_bar(errors, args)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"shifts: {', '.join(SHIFTS)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        nargs="+",
        action=TakeAll,
        required=True,
        metavar="FILE",
        help="RUN/best.pt; compared in turn",
    )
    add_data_arguments(parser)
    parser.add_argument("--batch-size", type=positive(int), default=8)
    parser.add_argument(
        "--shifts",
        nargs="+",
        action=TakeAll,
        default=list(SHIFTS),
        choices=list(SHIFTS),
        metavar="NAME",
        help="default: all",
    )
    parser.add_argument("--bar", type=positive(float), help="exit with 1 if a shift multiplies MRE by more")
    parser.add_argument("--limit", type=positive(int), help="this many images, evenly spaced (default: all)")
    parser.add_argument("--json", type=Path, help="write every number, errors included")
    parser.add_argument(
        "--show-dir", type=Path, help="new or empty folder for a picture a checkpoint: one image, every shift"
    )
    return parser.parse_args()


def measure(loaded: LoadedModel, dataset: PreparedDataset, args: argparse.Namespace) -> dict[str, Errors]:
    """Errors on the chosen images as they are, and under every shift asked for."""
    views = {UNSHIFTED: dataset}
    for name in args.shifts:
        transforms = ShiftedTransforms(name, instantiate(loaded.config.eval_transforms))
        views[name] = PreparedDataset(dataset.folder, dataset.subset, transforms)
    errors = {}
    for name, view in (progress := tqdm(views.items(), unit="shift")):
        progress.set_description(name)
        loader: Any = eval_loader(
            Subset(view, chosen(view, args)), args.batch_size, args.workers, collate=collate
        )
        errors[name] = evaluate(loaded.task, loaded.model, loader, pick_device(args.device))
    return errors


def chosen(dataset: PreparedDataset, args: argparse.Namespace) -> list[int]:
    """Indices of the images to evaluate."""
    return spread_cases(len(dataset), args.limit or len(dataset))


def print_tables(errors: Sequence[Mapping[str, Errors]], args: argparse.Namespace) -> None:
    for number, (file, found) in enumerate(zip(args.checkpoint, errors, strict=True), start=1):
        print(f"[{number}] {file}\n{effect_table(shift_effects(found), next(iter(found.values())).unit)}\n")
    if len(errors) > 1:
        print(side_by_side(errors))


def write_results(
    errors: Sequence[Mapping[str, Errors]], dataset: PreparedDataset, args: argparse.Namespace
) -> None:
    """What the command line asked for."""
    if args.json:
        origin = {"data": str(dataset.folder), "subset": dataset.subset, "labels": dataset.labels}
        cases = list(errors[0][UNSHIFTED].cases)
        results = [
            {"checkpoint": str(file), **shift_record(found)}
            for file, found in zip(args.checkpoint, errors, strict=True)
        ]
        content = json.dumps({**origin, "cases": cases, "results": results}, indent=1, allow_nan=False)
        write_atomic(args.json, content + "\n")
        print(f"numbers:  {args.json}")
    if args.show_dir:
        sample = dataset.load(chosen(dataset, args)[0])
        for number, found in enumerate(errors, start=1):
            sheet = shift_sheet(sample, {name: of.predicted[0] for name, of in found.items()})
            write_png(args.show_dir / f"{number}_{sample.case}.png", sheet)
        print(f"pictures: {args.show_dir}")


def require_bar(errors: Sequence[Mapping[str, Errors]], args: argparse.Namespace) -> None:
    """Raise ValueError that names every shift over ``--bar``, if one was given."""
    if args.bar is None:
        return
    wrong = [
        f"{file}: {name} {ratio:.2f}"
        for file, found in zip(args.checkpoint, errors, strict=True)
        for name, ratio in over_bar(shift_effects(found), args.bar).items()
    ]
    if wrong:
        raise ValueError(f"MRE over {args.bar:g} times that of the unshifted images: {'; '.join(wrong)}.")
    print(f"no shift multiplies MRE by more than {args.bar:g}")


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"evaluate_shifts: {error}")

"""Fit the one factor on a model's uncertainty to annotated images that it was not trained on.

    python tools/calibrate_uncertainty.py --checkpoint runs/NAME/best.pt --data data/clinic --subset val \\
        --output clinic.pt

Training does this by itself on its validation images. Do it again for images of another clinic, where errors
are larger than the model knows: some twenty annotated images are enough for one number. Points stay as they
are; only the uncertainty beside them changes. A checkpoint that follows a protocol is refused: its radii also
hold how sure its offsets are, which the factor does not reach. tools/adapt_protocol.py fits both.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from datasets.landmarks.batch import collate
from datasets.loader import eval_loader
from util.arguments import add_data_arguments, checkpoint_name, positive
from util.checkpoints.checkpoint import load_checkpoint, load_model, save_checkpoint
from util.evaluation.data import open_dataset
from util.evaluation.landmarks.calibration import SHARES, coverage, fit_factor
from util.evaluation.landmarks.metrics import Errors
from util.prediction.predictor import pick_device
from util.training.engine import evaluate


def main() -> None:
    args = parse_arguments()
    loaded = load_model(args.checkpoint, pick_device(args.device)).of("landmarks")
    if loaded.model.protocol is not None:
        raise ValueError(
            f"{args.checkpoint}: follows a protocol, expected one as learnt. The factor does not reach what "
            "the radii hold of the offsets: fit both on these images with tools/adapt_protocol.py."
        )
    dataset = open_dataset(loaded, args.data, args.subset)
    before = float(loaded.model.uncertainty_factor)
    batches: Any = eval_loader(dataset, args.batch_size, args.workers, collate=collate)
    errors: Errors = evaluate(
        loaded.task, loaded.model, tqdm(batches, unit="batch"), pick_device(args.device)
    )
    factor = fit_factor(errors.radial_mm, errors.uncertainty_mm)
    save_checkpoint(args.output, load_checkpoint(args.checkpoint) | {"calibration": before * factor})
    print(f"{len(dataset)} images of {dataset.folder}, subset {dataset.subset}")
    for share in SHARES:
        print(
            f"{share:.0%} radius holds {held(errors, 1.0, share):.1f} % of the errors as it was, "
            f"{held(errors, factor, share):.1f} % now"
        )
    print(f"factor {before:.3f} -> {before * factor:.3f}: {args.output}")


def held(errors: Errors, factor: float, share: float) -> float:
    """Percent of the errors within the radius for ``share``, all uncertainties times ``factor``."""
    return 100.0 * coverage(errors.radial_mm, factor * errors.uncertainty_mm, share)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fit a model's uncertainty to annotated images.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="RUN/best.pt or RUN/last.pt")
    add_data_arguments(parser, subset="val")
    parser.add_argument("--batch-size", type=positive(int), default=8)
    parser.add_argument(
        "--output", type=checkpoint_name, required=True, help="FILE.pt, the checkpoint with its factor"
    )
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"calibrate_uncertainty.py: {error}")

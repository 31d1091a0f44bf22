"""What each part of a model contributes: its error on annotated images after every stage.

    python tools/measure_stages.py --checkpoint runs/NAME/best.pt --subset test

A row a stage: the mean shape, the start of the queries, every decoder layer and ROI stage; before them the
model's own heatmaps, read by DARK as a heatmap model reads them. docs/inspect.md says how to read it.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from tqdm import tqdm

from datasets.landmarks.batch import collate
from datasets.loader import eval_loader
from util.arguments import add_data_arguments
from util.checkpoints.checkpoint import load_model
from util.evaluation.data import open_dataset
from util.inspection.landmarks.stages import stage_errors, stage_table
from util.prediction.predictor import pick_device


def main() -> None:
    args = parse_arguments()
    loaded = load_model(args.checkpoint, pick_device(args.device)).of("landmarks")
    dataset = open_dataset(loaded, args.data, args.subset)
    batches = tqdm(eval_loader(dataset, 1, args.workers, collate=collate), unit="image")
    errors = stage_errors(loaded.model, batches, pick_device(args.device))
    print(f"{len(dataset)} images of {dataset.folder}, subset {dataset.subset}, {dataset.labels!r} labels\n")
    print(stage_table(errors))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A model's error after each of its stages.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="RUN/best.pt or RUN/last.pt")
    add_data_arguments(parser)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"measure_stages.py: {error}")

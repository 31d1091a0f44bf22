"""A checkpoint's weights in half precision, to hand out: one safetensors file that every script here takes.

    python tools/export_weights.py --checkpoint runs/NAME/best.pt --output weights/NAME.safetensors

Written only when the landmarks on 16 images stay where they are: 99 % of them to 0.1 px of the input, the
others, whose heatmap may have two peaks of nearly the same height, to 1 px.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor

from datasets.landmarks.batch import collate
from datasets.prepared.prepared import PreparedDataset
from models.precision import exact_inference
from util.checkpoints.checkpoint import LoadedModel, load_checkpoint, load_model
from util.checkpoints.weights_file import SUFFIX, write_weights
from util.evaluation.data import open_dataset

_LIMITS_PX = {0.99: 0.1, 1.0: 1.0}  # quantile of the distances: at most
_IMAGES = 16


def main() -> None:
    args = parse_arguments()
    loaded = load_model(args.checkpoint).of("landmarks")
    dataset = open_dataset(loaded, args.data, args.subset)
    unchecked = args.output.with_name(f".unchecked.{args.output.name}")
    try:
        write_weights(unchecked, load_checkpoint(args.checkpoint))
        moved = displacement(loaded, load_model(unchecked), dataset)
        for quantile, limit in _LIMITS_PX.items():
            reached = moved.flatten().quantile(quantile)
            if not reached <= limit:
                raise ValueError(
                    f"half precision moves {quantile:.0%} of the landmarks by up to {reached:.3f} px of the "
                    f"input, expected at most {limit}. Hand out the .pt file."
                )
        unchecked.replace(args.output)
    finally:
        unchecked.unlink(missing_ok=True)
    print(f"landmarks moved by {moved.mean():.4f} px of the input on average, {moved.max():.4f} at most")
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB")


@exact_inference()
def displacement(first: LoadedModel, second: LoadedModel, dataset: PreparedDataset) -> Tensor:
    """(n, K) distances, in pixels of the input, between two models' landmarks on evenly spaced images."""
    moved = []
    for index in range(0, len(dataset), max(1, len(dataset) // _IMAGES)):
        batch = collate([dataset[index]]).to("cpu")
        points = [loaded.model(batch.images).final.points for loaded in (first, second)]
        moved.append(((points[0] - points[1]) * batch.canvas).norm(dim=-1))
    return torch.cat(moved)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write a checkpoint's weights in half precision.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="RUN/best.pt")
    parser.add_argument("--output", type=Path, required=True, help=f"FILE{SUFFIX}")
    parser.add_argument("--data", type=Path, help="prepared folder to compare on; default: the training's")
    parser.add_argument("--subset", default="test", help="subset of it (default: test)")
    args = parser.parse_args()
    if args.output.suffix != SUFFIX:
        parser.error(f"--output {args.output}: expected a name that ends in {SUFFIX}.")
    return args


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"export_weights.py: {error}")

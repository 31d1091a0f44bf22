"""Fit the limits that tell proper X-rays from other pictures to X-rays that are proper.

    python tools/fit_plausibility.py --checkpoint runs/NAME/best.pt --input folder/ --orientation A F

Training does this by itself on its validation images. Do it again for an older checkpoint, and for another
machine's X-rays. The limits are written into the checkpoint, where inference.py finds them: then it puts
mirrored and turned pictures right, and flags what is no such X-ray. No annotations are needed. Ten images are
the least, and some fifty give close limits; take none that the model is to be tested on (docs/files.md).
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from tqdm import tqdm

from datasets.files.image_files import read_images
from datasets.files.search import find_images
from transforms.geometry import pixel_shape
from util.arguments import TakeAll, add_device_argument, positive
from util.checkpoints.checkpoint import load_checkpoint, load_model, save_checkpoint
from util.checkpoints.one_of_several import split_name
from util.checkpoints.weights_file import SUFFIX, write_weights
from util.evaluation.landmarks.limits_fit import FEWEST, LEAST_LANDMARKS, fit_limits
from util.prediction.landmarks.plausibility import KEY
from util.prediction.landmarks.posed import Posed
from util.prediction.predictor import pick_device, stream


def main() -> None:
    args = parse_arguments()
    found = landmarks_of_weights(args)
    limits = fit_limits(
        np.array([points for points, _ in found]),
        np.array([uncertainty for _, uncertainty in found]),
        orientation=tuple(args.orientation) if args.orientation else None,
        fitted_on=args.note or f"{len(found)} images",
    )
    if limits is None:
        raise ValueError(
            f"{len(found)} images, expected at least {FEWEST}, and a model of at least {LEAST_LANDMARKS} "
            "landmarks: fewer have no limits. Give more proper X-rays."
        )
    write = write_weights if args.output.suffix == SUFFIX else save_checkpoint
    write(args.output, load_checkpoint(args.checkpoint) | {KEY: limits.to_dict()})
    print(
        f"{len(found)} images; limits: uncertainty {limits.uncertainty:.3f} and shape {limits.shape:.3f} of "
        f"the landmarks' extent, turn {limits.turn:.1f} degrees: {args.output}"
    )


def landmarks_of_weights(args: argparse.Namespace) -> list[tuple[np.ndarray, np.ndarray]]:
    """(K, 2) points and (K,) radial errors that the weights alone say of each X-ray, in square pixels.

    Limits are kept without calibration and protocol.
    """
    loaded = load_model(args.checkpoint, pick_device(args.device)).of("landmarks")
    loaded.model.protocol = None
    loaded.model.uncertainty_factor.fill_(1.0)
    model: Any = loaded.task.predictor(loaded)
    predictor = Posed(model, None, search=False)
    files = find_images(args.input).files
    images = (image for file in tqdm(files, unit="file", disable=None) for image in read_images(file))
    return [
        (landmarks.points * pixel_shape(image.spacing), landmarks.uncertainty_px)
        for image, landmarks in stream(predictor, images, args.batch_size)
    ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fit the limits that proper X-rays keep.")
    parser.add_argument("--checkpoint", type=Path, required=True, help=f"RUN/best.pt or NAME{SUFFIX}")
    parser.add_argument(
        "--input",
        type=Path,
        nargs="+",
        action=TakeAll,
        required=True,
        metavar="PATH",
        help="proper X-rays, upright",
    )
    parser.add_argument(
        "--output", type=Path, help="where to write the checkpoint with its limits (default: as it was)"
    )
    parser.add_argument(
        "--orientation",
        nargs=2,
        choices=tuple("APFHRL"),
        metavar=("ROWS", "COLUMNS"),
        help="where rows and columns of an upright picture run (DICOM's PatientOrientation): A F for a "
        "lateral head that looks to the right. Default: what DICOM files say is not used",
    )
    parser.add_argument("--note", help="what the images are, for the record")
    parser.add_argument("--batch-size", type=positive(int), default=4)
    add_device_argument(parser)
    args = parser.parse_args()
    whole, landmark_set = split_name(args.checkpoint)
    if args.output is None and landmark_set is not None:
        parser.error(
            f"--checkpoint {args.checkpoint}: one of several sets. Give it a file of its own: --output."
        )
    args.output = args.output or args.checkpoint
    if args.checkpoint.suffix == ".onnx":
        parser.error("--checkpoint: a graph has the limits of its checkpoint. Fit those, and export anew.")
    if args.output.suffix != whole.suffix:
        parser.error(f"--output {args.output}: expected a name that ends in {whole.suffix}.")
    return args


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"fit_plausibility.py: {error}")

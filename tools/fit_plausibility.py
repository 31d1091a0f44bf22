"""Fit the limits that tell proper X-rays from other pictures to X-rays that are proper.

    python tools/fit_plausibility.py --checkpoint runs/NAME/best.pt --input folder/ --orientation A F

Writes runs/NAME/best.json beside the checkpoint, where inference.py looks for it: then it puts mirrored and
turned pictures right, and flags what is no such X-ray. No annotations are needed. Some fifty images give firm
limits; take none that the model is to be tested on (docs/files.md).
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from datasets.files.image_files import read_images
from datasets.files.search import find_images
from util.arguments import add_device_argument, positive
from util.prediction.landmarks.plausibility import fit_limits
from util.prediction.landmarks.posed import Posed
from util.prediction.predictor import load_predictor, stream

SLACK = 2.0  # of proper X-rays no sign was over 1.1 times the largest of some fifty others (docs/files.md)


def main() -> None:
    args = parse_arguments()
    predictor = Posed(load_predictor(args.checkpoint, args.device), None, search=False)
    files = find_images(args.input).files
    images = (image for file in tqdm(files, unit="file", disable=None) for image in read_images(file))
    found = [landmarks for _, landmarks in stream(predictor, images, args.batch_size)]
    limits = fit_limits(
        found,
        predictor.landmark_set,
        slack=args.slack,
        orientation=tuple(args.orientation) if args.orientation else None,
        fitted_on=args.note or f"{len(found)} images",
    )
    written = limits.write(args.checkpoint)
    print(
        f"{len(found)} images; limits: uncertainty {limits.uncertainty:.3f} and shape {limits.shape:.3f} of "
        f"the landmarks' extent, turn {limits.turn:.1f} degrees: {written}"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fit the limits that proper X-rays keep.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="best.pt, .safetensors or .onnx")
    parser.add_argument(
        "--input", type=Path, nargs="+", required=True, metavar="PATH", help="proper X-rays, upright"
    )
    parser.add_argument(
        "--orientation",
        nargs=2,
        choices=tuple("APFHRL"),
        metavar=("ROWS", "COLUMNS"),
        help="where rows and columns of an upright picture run (DICOM's PatientOrientation): A F for a "
        "lateral head that looks to the right. Default: what DICOM files say is not used",
    )
    parser.add_argument(
        "--slack",
        type=positive(float),
        default=SLACK,
        help=f"limits are this many times the largest sign ({SLACK:g})",
    )
    parser.add_argument("--note", help="what the images are, for the record")
    parser.add_argument("--batch-size", type=positive(int), default=4)
    add_device_argument(parser)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"fit_plausibility.py: {error}")

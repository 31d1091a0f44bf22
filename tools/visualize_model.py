"""See inside a model: what it looks at on one image, and how it gets to its landmarks.

    python tools/visualize_model.py --checkpoint runs/NAME/best.pt --input xray.png --show-dir DIR

docs/inspect.md says how to read each picture.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from util.arguments import add_device_argument, add_spacing_argument
from util.checkpoints.checkpoint import load_model
from util.config import instantiate
from util.files import write_atomic
from util.inspection.input import as_model_input, landmark_indices, open_image
from util.inspection.inspect import inspect_model
from util.inspection.pictures import gradient_pictures, landmark_pictures, most_uncertain, overview_pictures
from util.prediction.landmarks.predict import pick_device
from util.reporting.figures import png
from util.reporting.visualise import require_free_folder


def main() -> None:
    args = parse_arguments()
    require_free_folder(args.show_dir)
    device = pick_device(args.device)
    loaded = load_model(args.checkpoint, device)
    chosen = landmark_indices(args.landmark, loaded.landmark_set)
    source = open_image(args.input, args.slice, args.spacing)
    image, canvas = as_model_input(source, instantiate(loaded.config.eval_transforms), loaded.landmark_set)
    image = image.to(device)
    inspection = inspect_model(loaded.model, image)
    write_pictures(args.show_dir, overview_pictures(canvas, inspection))
    absent = list(inspection.absent)
    for landmark in chosen or most_uncertain(inspection):
        write_pictures(args.show_dir, landmark_pictures(canvas, inspection, landmark))
        try:
            gradients = gradient_pictures(canvas, loaded.model, image, landmark, args.part or "backbone")
            write_pictures(args.show_dir, gradients)
        except ValueError as error:
            if args.part:  # asked for, so not to be passed over
                raise
            absent.append(f"no gradient maps of landmark {landmark + 1}: {error}")
    for sentence in absent:
        print(sentence)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="See inside a model on one image.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="RUN/best.pt or RUN/last.pt")
    parser.add_argument(
        "--input", type=Path, required=True, metavar="IMAGE", help="any image of inference.py"
    )
    parser.add_argument("--show-dir", type=Path, required=True, help="new or empty folder for the pictures")
    parser.add_argument(
        "--landmark",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names, abbreviations or numbers from 1 (default: the three least certain)",
    )
    parser.add_argument("--slice", type=int, metavar="N", help="image of a file of several, from 1")
    add_spacing_argument(parser)
    parser.add_argument(
        "--part", help="part of the model at whose feature maps gradients are taken (default: backbone)"
    )
    add_device_argument(parser)
    return parser.parse_args()


def write_pictures(folder: Path, pictures: Iterable[tuple[str, Figure]]) -> None:
    for stem, figure in pictures:
        file = folder / f"{stem}.png"
        write_atomic(file, png(figure))
        print(file)


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"visualize_model.py: {error}")

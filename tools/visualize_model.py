"""See inside a model: what it looks at on one image, and how it gets to its answer.

    python tools/visualize_model.py --checkpoint runs/NAME/best.pt --input xray.png --show-dir DIR

docs/inspect.md says how to read each picture.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from util.arguments import (
    add_device_argument,
    add_model_config_argument,
    add_spacing_argument,
    checkpoints_of,
    model_config_of,
)
from util.checkpoints.described import load_described, task_of_described
from util.files import write_atomic
from util.prediction.predictor import pick_device
from util.reporting.figures import png
from util.reporting.visualise import require_free_folder
from util.training.task import Task


def main() -> None:
    args, task = parse_arguments()
    require_free_folder(args.show_dir)
    loaded = load_described(args.checkpoint, args.model_config, pick_device(args.device))
    for stem, figure in task.model_pictures(loaded, args, print):
        file = args.show_dir / f"{stem}.png"
        write_atomic(file, png(figure))
        print(file)


def parse_arguments() -> tuple[argparse.Namespace, Task]:
    """The arguments, and the task of the checkpoint, which has some of its own."""
    parser = argparse.ArgumentParser(description="See inside a model on one image.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="RUN/best.pt or RUN/last.pt")
    parser.add_argument(
        "--input", type=Path, required=True, metavar="IMAGE", help="any image of inference.py"
    )
    parser.add_argument("--show-dir", type=Path, required=True, help="new or empty folder for the pictures")
    parser.add_argument("--slice", type=int, metavar="N", help="image of a file of several, from 1")
    add_model_config_argument(parser)
    task = task_of_described(checkpoints_of(sys.argv[1:])[0], model_config_of(sys.argv[1:]))
    task.add_inspection_arguments(parser)
    add_spacing_argument(parser)
    add_device_argument(parser)
    return parser.parse_args(), task


if __name__ == "__main__":
    try:
        main()
    except (ValueError, NotImplementedError) as error:
        sys.exit(f"visualize_model.py: {error}")

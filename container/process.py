"""The algorithm as the challenge runs it: one stack in, the landmarks of all its slices out.

    python container/process.py

Reads the only .mha in /input/images/lateral-dental-x-rays and writes /output/orthodontic-landmarks.json, on
the GPU if there is one. Several checkpoints in the weights folder are an ensemble. The predictions are those
of tools/predict_cl_detection2023.py, by the same code. Exit code 0: written; 1: an input is wrong, nothing
is written; 2: bad arguments.
"""

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # run as a script, from anywhere

from datasets.landmarks.cl_predictions import write_predictions  # noqa: E402
from util.arguments import TakeAll, add_device_argument  # noqa: E402
from util.checkpoints.weights_file import SUFFIX  # noqa: E402
from util.prediction.landmarks.predict import Predictor  # noqa: E402
from util.prediction.landmarks.predict_stack import load_challenge_predictor, predict_stack  # noqa: E402

INPUT = Path("/input/images/lateral-dental-x-rays")
OUTPUT = Path("/output/orthodontic-landmarks.json")
CHECKPOINTS = (".pt", SUFFIX)  # of a run; to hand out
SCALES = "CEPHDETR_SCALES"  # set by container/build.sh


def main() -> int:
    args = parse_arguments()
    try:
        if args.check:
            load(args)
        else:
            stack = only_stack(args.input)
            points = predict_stack(load(args), stack, args.batch_size)
            write_predictions(args.output, points)
            print(f"{stack}: {len(points)} slices -> {args.output}")
    except (ValueError, OSError) as error:
        print(f"process.py: {error}", file=sys.stderr)
        return 1
    return 0


def only_stack(folder: Path) -> Path:
    """The one .mha file in ``folder``. Raises ValueError when there is none, or more than one."""
    stacks = sorted(folder.glob("*.mha"))
    if len(stacks) != 1:
        names = ", ".join(file.name for file in stacks[:5]) or "none"
        raise ValueError(f"{folder}: {len(stacks)} .mha files ({names}), expected one stack. Put one there.")
    return stacks[0]


def load(args: argparse.Namespace) -> Predictor:
    """The model of every checkpoint in the weights folder. Raises ValueError when there is none."""
    checkpoints = sorted(file for file in args.weights.glob("*") if file.suffix in CHECKPOINTS)
    if not checkpoints:
        raise ValueError(
            f"{args.weights}: no {' or '.join(CHECKPOINTS)} file. "
            "Build the image with container/build.sh CHECKPOINT."
        )
    predictor = load_challenge_predictor(checkpoints, args.device, args.scales)
    print(f"weights: {', '.join(file.name for file in checkpoints)}; scales {args.scales}")
    return predictor


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, default=INPUT, help=f"folder of the stack ({INPUT})")
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"file to write ({OUTPUT})")
    parser.add_argument("--weights", type=Path, default=HERE / "weights", help="folder of the checkpoints")
    parser.add_argument(
        "--scales",
        type=float,
        nargs="+",
        action=TakeAll,
        default=[float(scale) for scale in os.environ.get(SCALES, "1").split()],
        help=f"average over these scales (${SCALES}, or 1)",
    )
    parser.add_argument("--batch-size", type=int, default=4)
    add_device_argument(parser)
    parser.add_argument("--check", action="store_true", help="load the weights and stop")
    args = parser.parse_args()
    if args.batch_size < 1:
        parser.error(f"--batch-size {args.batch_size}: expected 1 or more.")
    return args


if __name__ == "__main__":
    sys.exit(main())

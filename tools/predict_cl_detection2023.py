"""Predict the 38 landmarks of every slice of a CL-Detection 2023 stack, in the challenge's JSON.

    python tools/predict_cl_detection2023.py --stack stack1.mha --checkpoint runs/cl38_resnet18/best.pt \\
        --output expected_output.json

Several checkpoints are averaged by inverse predicted variance, and so are the --scales that each looks at.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.files.mha_files import open_stack  # noqa: E402
from datasets.landmarks.cl_predictions import write_predictions  # noqa: E402
from util.arguments import TakeAll, add_device_argument, positive  # noqa: E402
from util.prediction.landmarks.predict_stack import load_challenge_predictor, predict_slices  # noqa: E402


def main() -> None:
    args = parse_args()
    stack = open_stack(args.stack)
    predictor = load_challenge_predictor(args.checkpoint, args.device, args.scales)
    slices = predict_slices(predictor, stack, args.batch_size)
    found = dict(tqdm(slices, total=stack.num_slices, unit="slice", disable=None))
    write_predictions(args.output, found)
    print(f"{len(found)} slices -> {args.output}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", type=Path, required=True, help="the .mha stack, padded as published")
    parser.add_argument(
        "--checkpoint", type=Path, nargs="+", action=TakeAll, required=True, help="one, or an ensemble"
    )
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument(
        "--scales",
        type=float,
        nargs="+",
        action=TakeAll,
        default=[1.0],
        help="scales to average over, such as 0.9 1 1.1 (1)",
    )
    parser.add_argument("--batch-size", type=positive(int), default=4, help="slices in memory at once (4)")
    add_device_argument(parser)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"predict_cl_detection2023: {error}")

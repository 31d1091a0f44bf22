"""Compare two prediction files of the challenge, point by point.

    python container/compare_predictions.py expected_output.json orthodontic-landmarks.json

Exit code 0: the same slices, every point within the tolerance; 1: they differ, or a file is wrong.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from datasets.landmarks.cl_predictions import read_predictions

TOLERANCE = 0.01  # pixels


def main() -> int:
    args = parse_arguments()
    expected, found = read_predictions(args.expected), read_predictions(args.found)
    if expected.keys() != found.keys():
        raise ValueError(
            f"{args.found}: {len(found)} slices, expected the {len(expected)} of {args.expected}."
        )
    distances = np.array([np.hypot(*(expected[k] - found[k]).T) for k in expected])  # (slices, 38)
    where = np.unravel_index(distances.argmax(), distances.shape)
    print(
        f"{distances.size} points, the largest distance {distances[where]:.4f} px "
        f"(slice {list(expected)[where[0]]}, landmark {where[1] + 1}), allowed {args.tolerance:g} px"
    )
    return int(distances[where] > args.tolerance)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("expected", type=Path)
    parser.add_argument("found", type=Path)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help=f"pixels ({TOLERANCE})")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        sys.exit(f"compare_predictions: {error}")

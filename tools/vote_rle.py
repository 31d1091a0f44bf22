"""The majority of several files of image_name,class,rle, row by row; memory for one row.

    python tools/vote_rle.py a.csv b.csv c.csv --output voted.csv
    python tools/vote_rle.py a.csv b.csv c.csv --weights 2 1 1 --output voted.csv

A pixel is set where more than --share of the weights set it: a tie is no majority, an empty row a vote
against. Probabilities are averaged by inference.py with several checkpoints, before any threshold.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from util.arguments import TakeAll  # noqa: E402
from util.prediction.masks.submission import vote_files  # noqa: E402


def main() -> None:
    args = parse_args()
    size = tuple(args.size) if args.size else None
    rows = vote_files(args.files, args.output, weights=args.weights, share=args.share, size=size)
    print(f"{len(args.files)} files, {rows} rows -> {args.output}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+", help="CSV files with the same rows")
    parser.add_argument("--output", type=Path, required=True, help="CSV file to write")
    parser.add_argument(
        "--weights", type=float, nargs="+", action=TakeAll, help="one a file; default: all the same"
    )
    parser.add_argument("--share", type=float, default=0.5, help="of the weights, to be exceeded (0.5)")
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="checks bounds too")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"vote_rle: {error}")

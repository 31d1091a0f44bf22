"""Write phantoms as the CL-Detection 2023 challenge hands out its images: train_stack.mha and train-gt.json.

python tools/make_phantom_stack.py --output data/phantom_stack --slices 8
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from datasets.phantoms.stack import FRAME_HEIGHT, write_phantom_stack


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to write into")
    parser.add_argument("--slices", type=int, default=8, help="phantoms, one a slice (8)")
    parser.add_argument("--height", type=int, default=FRAME_HEIGHT, help=f"of a slice ({FRAME_HEIGHT})")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write_phantom_stack(args.output, args.slices, height=args.height, seed=args.seed)
    print(f"{args.slices} slices -> {args.output}")


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"make_phantom_stack: {error}")

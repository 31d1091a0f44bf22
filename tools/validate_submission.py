"""Check a CL-Detection 2023 predictions file: structure, every landmark of every slice once, finite numbers.

    python tools/validate_submission.py expected_output.json --stack stack1.mha

With --stack also the number of slices, and that every point lies inside the image. Exit code 0: sound;
1: what is wrong, a line each.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.files.mha_files import open_stack  # noqa: E402
from datasets.landmarks.cl_predictions import check_predictions, read_content  # noqa: E402


def main() -> int:
    args = parse_args()
    content = read_content(args.file)
    if args.stack is None:
        problems = check_predictions(content)
    else:
        stack = open_stack(args.stack)
        problems = check_predictions(content, num_slices=stack.num_slices, size=(stack.width, stack.height))
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{args.file}: {len(problems)} problems.", file=sys.stderr)
        return 1
    checked = "" if args.stack else " (not compared with a stack: give --stack)"
    print(f"{args.file}: {len(content['points'])} points, sound{checked}.")
    return 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="predictions in the challenge's JSON")
    parser.add_argument("--stack", type=Path, help="the stack that they were made for")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        sys.exit(f"validate_submission: {error}")

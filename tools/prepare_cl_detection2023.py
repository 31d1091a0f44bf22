"""Prepare the CL-Detection 2023 stack (38 landmarks) for training and evaluation.

    python tools/prepare_cl_detection2023.py --stack train_stack.mha --annotations train-gt.json \\
        --output data/cl38 --size 1024

The stack is read slice by slice; the split into train, val and test is by image, seeded and written down.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.files.mha_files import open_stack  # noqa: E402
from datasets.landmarks import cl_detection2023 as cl  # noqa: E402
from datasets.prepared.splits import split_by_image  # noqa: E402
from datasets.prepared.writer import PreparedWriter  # noqa: E402
from util.files import sha256  # noqa: E402


def main() -> None:
    args = parse_args()
    stack, annotations = open_stack(args.stack), cl.read_annotations(args.annotations)
    cl.check_match(stack, annotations)
    sizes = cl.split_sizes(stack.num_slices, args.split)
    split = split_by_image(map(cl.case_name, annotations), sizes, args.seed)
    sizes_given = " ".join(map(str, sizes.values()))
    split_of = {case: name for name, cases in split.items() for case in cases}
    writer = PreparedWriter(
        args.output,
        landmark_set=cl.LANDMARKS,
        labels="published",
        created_by=f"tools/prepare_cl_detection2023.py --split {sizes_given} --size {args.size}",
        source_files={file.name: sha256(file) for file in (args.stack, args.annotations)},
        seed=args.seed,
    )
    with writer:
        # One pass over the stack, whichever split a slice goes to: a compressed stack is inflated once.
        for case in tqdm(
            cl.read_cases(stack, annotations), total=stack.num_slices, unit="slice", disable=None
        ):
            writer.add(split_of[case.name], case.shrunk(args.size))
    print(", ".join(f"{name} {size}" for name, size in sizes.items()), f"-> {args.output}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", type=Path, required=True, help="train_stack.mha")
    parser.add_argument("--annotations", type=Path, required=True, help="train-gt.json")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    parser.add_argument(
        "--split", type=int, nargs=3, metavar=("TRAIN", "VAL", "TEST"), help="images each (75/12.5/12.5 %%)"
    )
    parser.add_argument("--seed", type=int, default=2023, help="of the split (2023)")
    parser.add_argument("--size", type=int, default=0, help="longer side in pixels; 0 keeps the original (0)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"prepare_cl_detection2023: {error}")

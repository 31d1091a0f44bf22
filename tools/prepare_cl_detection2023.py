"""Prepare the CL-Detection 2023 stack (38 landmarks) for training and evaluation.

    python tools/prepare_cl_detection2023.py --stack train_stack.mha --annotations train-gt.json \\
        --output data/cl38 --size 1024

The stack is read slice by slice; the split into train, val and test is by image, seeded and written down.
--split F.json takes the split that a file names: {"train": ["001", ...], "val": [...], "test": [...]}.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.files.mha_files import open_stack  # noqa: E402
from datasets.landmarks import cl_detection2023 as cl  # noqa: E402
from datasets.prepared.split_files import read_split  # noqa: E402
from datasets.prepared.splits import split_by_image  # noqa: E402
from datasets.prepared.writer import PreparedWriter  # noqa: E402
from util.arguments import TakeAll  # noqa: E402
from util.files import sha256  # noqa: E402


def main() -> None:
    args = parse_args()
    stack, annotations = open_stack(args.stack), cl.read_annotations(args.annotations)
    cl.check_match(stack, annotations)
    cases = list(map(cl.case_name, annotations))
    split, given = split_asked_for(args.split, cases, args.seed)
    split_of = {case: name for name, cases in split.items() for case in cases}
    writer = PreparedWriter(
        args.output,
        landmark_set=cl.LANDMARKS,
        labels="published",
        created_by=f"tools/prepare_cl_detection2023.py --split {given} --size {args.size}",
        source_files={file.name: sha256(file) for file in (args.stack, args.annotations)},
        seed=args.seed,
    )
    with writer:
        # One pass over the stack, whichever split a slice goes to: a compressed stack is inflated once.
        for case in tqdm(
            cl.read_cases(stack, annotations), total=stack.num_slices, unit="slice", disable=None
        ):
            if case.name in split_of:
                writer.add(split_of[case.name], case.shrunk(args.size))
    print(", ".join(f"{name} {len(members)}" for name, members in split.items()), f"-> {args.output}")


def split_asked_for(
    given: Sequence[str] | None, cases: Sequence[str], seed: int
) -> tuple[Mapping[str, Sequence[str]], str]:
    """Slices by split, and how it is put down in the folder. Slices that a file does not name are said."""
    if given is not None and len(given) == 1 and not given[0].isdigit():
        split, left = read_split(Path(given[0]), cases)
        if left:
            print(f"{len(left)} slices that {given[0]} does not name are left out: {cl.shortened(left)}")
        return split, Path(given[0]).name
    if given is not None and not (len(given) == len(cl.SPLITS) and all(map(str.isdigit, given))):
        raise ValueError(
            f"--split {' '.join(given)}: expected the numbers of images for train, val and test, or one "
            "JSON file that names them."
        )
    sizes = cl.split_sizes(len(cases), None if given is None else list(map(int, given)))
    return split_by_image(cases, sizes, seed), " ".join(map(str, sizes.values()))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", type=Path, required=True, help="train_stack.mha")
    parser.add_argument("--annotations", type=Path, required=True, help="train-gt.json")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    parser.add_argument(
        "--split",
        nargs="+",
        action=TakeAll,
        metavar="N",
        help="images for train, val and test (75/12.5/12.5 %%), or a JSON file that names the slices of each",
    )
    parser.add_argument("--seed", type=int, default=2023, help="of the split (2023)")
    parser.add_argument("--size", type=int, default=0, help="longer side in pixels; 0 keeps the original (0)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"prepare_cl_detection2023: {error}")

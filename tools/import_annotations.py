"""Bring images that were annotated with another tool into the prepared layout.

    python tools/import_annotations.py --from labelme --landmarks my_set.json --images scans/ \\
        --annotations scans/ --output data/mine
    python tools/import_annotations.py --from csv --landmarks cl38 --images scans/ --annotations points.csv \\
        --output data/mine --group-by "patient_(\\d+)" --spacing 0.1

Reads labelme, CVAT (for images 1.1), COCO keypoints, CSV and 3D Slicer's .mrk.json. Says which names are
missing or unknown, and how the tool counts pixels (docs/files.md). With --group-by, the images of one patient
go into one split, and folds keep them together.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from datasets.files.search import find_images
from datasets.landmarks.exports.matching import (
    match,
    numbered_persons,
    prepared_case,
    split_files,
)
from datasets.landmarks.exports.readers import CONVENTIONS, READERS, TO_CONTINUOUS, read_export
from datasets.landmarks.landmark_set import LandmarkSet, load_landmark_set
from datasets.landmarks.unit import LengthUnit
from datasets.prepared.case import PreparedCase
from datasets.prepared.names import case_names
from datasets.prepared.split_files import read_split
from datasets.prepared.writer import write_prepared
from util.arguments import add_spacing_argument, escape_on_console, listed_cases
from util.files import printable, sha256
from util.words import first_few


def main() -> None:
    escape_on_console()
    args = parse_arguments()
    landmark_set = load_landmark_set(args.landmarks)
    unit = LengthUnit.from_json(args.unit if len(args.unit) > 1 else args.unit[0], landmark_set, "--unit")
    if not args.images.is_dir():
        raise ValueError(f"--images {args.images}: no such folder. Check the path.")
    files = find_images([args.images]).files
    matched = match(read_export(args.tool, args.annotations), files, landmark_set, folder=args.images)
    for line in matched.report():
        print(line)
    for name, other in landmark_set.unpaired_sides():
        print(f"{name} and {other} are no pair of the set: train it without flips, or add them to pairs")
    convention = args.convention or CONVENTIONS[args.tool]
    print(f"{args.tool} counts pixels by {convention}: {_MEANING[convention]}")
    names = case_names(matched.pairs)
    persons = numbered_persons(list(matched.pairs), args.group_by) if args.group_by is not None else {}
    split = split_of(args, names, persons)
    left_out = listed_cases(args.leave_out)
    trained_on = [file for file in split["train"] if names[file] not in left_out]
    if args.leave_out is not None:
        print(f"{len(split['train']) - len(trained_on)} of {len(split['train'])} cases left out of train")
        if unknown := sorted(left_out - set(names.values())):
            print(f"names in {args.leave_out} of no case: {', '.join(unknown)}")
    split["train"] = trained_on
    written = [file for members in split.values() for file in members]
    about = {"persons": {names[file]: persons[file] for file in written}} if persons else None
    unmeasured: list[str] = []

    def case(file: Path) -> PreparedCase:
        found = prepared_case(
            file,
            matched.pairs[file],
            landmark_set,
            names[file],
            tool=args.tool,
            convention=convention,
            spacing=args.spacing,
        )
        if args.outside == "missing":
            found = without_outside(found, landmark_set)
        found = found.shrunk(args.size)
        size = found.image.shape[1], found.image.shape[0]
        if np.isnan(unit.per_pixel(found.points, size, found.spacing, landmark_set.landmarks)).any():
            unmeasured.append(found.source_file)
        return found

    cases = {part: map(case, members) for part, members in split.items()}
    write_prepared(
        args.output,
        cases,
        landmark_set=landmark_set,
        labels=args.labels,
        created_by=f"tools/import_annotations.py --from {args.tool} --convention {convention} "
        f"--size {args.size}",
        source_files={printable(file.relative_to(args.images)): sha256(file) for file in matched.pairs},
        seed=args.seed,
        unit=unit,
        about=about,
    )
    if unmeasured:
        print(f"{len(unmeasured)} of {len(written)} images {without_length(unit)}: {first_few(unmeasured)}")
    print(", ".join(f"{part} {len(members)}" for part, members in split.items()), f"-> {args.output}")


def split_of(
    args: argparse.Namespace, names: Mapping[Path, str], persons: Mapping[Path, str]
) -> dict[str, list[Path]]:
    """Files by split: as --split names them, else dealt. Raises ValueError for a patient in two splits."""
    if args.split is None:
        return split_files(list(names), {"val": args.val, "test": args.test}, args.seed, args.group_by)
    named, left = read_split(args.split, names.values())
    if "train" not in named:
        raise ValueError(
            f"{args.split}: splits {sorted(named)}, expected 'train' among them. Name its images."
        )
    if left:
        print(f"{len(left)} images that {args.split} does not name are left out: {first_few(left)}")
    file_of = {name: file for file, name in names.items()}
    split = {part: [file_of[name] for name in members] for part, members in named.items()}
    parts = defaultdict(set)
    for part, members in split.items():
        for file in members:
            parts[persons.get(file, names[file])].add(part)
    if torn := sorted(person for person, found in parts.items() if len(found) > 1):
        files = [file for members in split.values() for file in members if persons.get(file) == torn[0]]
        raise ValueError(
            f"{args.split}: {len(torn)} patients of --group-by are in more than one split, the first with "
            f"{first_few([names[file] for file in files])}. Put all images of a patient into one."
        )
    return split


def without_length(unit: LengthUnit) -> str:
    """What images lack that training and test need, and what to do."""
    if unit.of is None:
        return "have no spacing, without which none is trained or tested on; give --spacing or --unit"
    return (
        f"do not show the length of {unit.name!r}, without which none is trained or tested on; mark both "
        "landmarks, or give another --unit"
    )


def without_outside(case: PreparedCase, landmark_set: LandmarkSet) -> PreparedCase:
    """The same with landmarks beyond the image as missing; says which."""
    outside = case.outside()
    if not outside.any():
        return case
    names = ", ".join(landmark_set.landmarks[index] for index in np.flatnonzero(outside))
    print(f"{case.source_file}: outside of the image, left out as missing: {names}")
    return replace(case, points=np.where(outside[:, None], np.nan, case.points))


_MEANING = {
    "continuous": "the corner of the first pixel is (0, 0)",
    "index": "the centre of the first pixel is (0, 0)",
    "one-based": "the centre of the first pixel is (1, 1)",
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Bring annotations of another tool into the prepared layout."
    )
    parser.add_argument(
        "--from", dest="tool", choices=READERS, required=True, help="the tool that wrote them"
    )
    parser.add_argument("--landmarks", required=True, metavar="SET", help="cl38, isbi19 or your own SET.json")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder with the images")
    parser.add_argument(
        "--annotations", type=Path, required=True, metavar="PATH", help="the tool's file, or a folder of them"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to make")
    parser.add_argument("--val", type=_share, default=0.1, help="share of the images for validation (0.1)")
    parser.add_argument("--test", type=_share, default=0.2, help="share of the images for testing (0.2)")
    parser.add_argument(
        "--group-by",
        metavar="REGEX",
        help="its first group in an image's path is the patient; default: by image",
    )
    parser.add_argument(
        "--split",
        type=Path,
        metavar="F.json",
        help='instead of shares: {"train": [names of images], "val": [...], "test": [...]}',
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split (0)")
    parser.add_argument("--size", type=int, default=1024, help="longer side in pixels (1024); 0 keeps it")
    parser.add_argument("--labels", default="imported", help="who annotated, for the record")
    parser.add_argument(
        "--convention", choices=TO_CONTINUOUS, help="of pixels; default: what the tool is known for"
    )
    parser.add_argument(
        "--unit",
        nargs="+",
        default=["mm"],
        metavar="LENGTH",
        help="of errors: mm (needs the spacing), or percent of 'image height', 'image width', or the "
        "distance of two landmarks by name: --unit sella nasion",
    )
    parser.add_argument(
        "--leave-out",
        type=Path,
        metavar="FILE",
        help="cases that are not trained on, one a line, such as labels found to be wrong; val and test stay",
    )
    parser.add_argument(
        "--outside",
        choices=("refuse", "missing"),
        default="refuse",
        help="landmarks beyond their image: end with a message, or count them as missing (refuse)",
    )
    add_spacing_argument(parser)
    return parser.parse_args()


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"{value}, expected a share from 0 to below 1")
    return value


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"import_annotations.py: {error}")

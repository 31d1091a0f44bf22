"""Prepare overlapping structures of any data set for training and evaluation.

    python tools/prepare_masks.py --images DIR --masks DIR --spacing 0.35 --split F.json --output data/chests
    python tools/prepare_masks.py --images DCM --polygons outputs_json --metadata F.xlsx --output data/hands
    python tools/prepare_masks.py --images DIR --coco F.json --output data/teeth_masks

--masks: a folder a class, in it a PNG an image. --polygons: a JSON an image, in one folder or in a folder a
person. --coco: polygons or run lengths. Images and annotations are matched by name (docs/masks.md).
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.files.search import find_images  # noqa: E402
from datasets.masks.annotation import Notes  # noqa: E402
from datasets.masks.class_set import ClassSet  # noqa: E402
from datasets.masks.dataset import MaskDataset  # noqa: E402
from datasets.masks.folds import folds_by_person  # noqa: E402
from datasets.masks.hand_task import SEXES, read_columns, read_metadata  # noqa: E402
from datasets.masks.matching import deal_split, persons_of  # noqa: E402
from datasets.masks.polygon_files import by_stem  # noqa: E402
from datasets.masks.preparing import Preparing  # noqa: E402
from datasets.masks.sources import Source, class_set_of, coco_source, masks_source, polygons_source  # noqa: E402
from datasets.masks.strata import strata_of_columns  # noqa: E402
from datasets.masks.suspects import Suspect, find_suspects  # noqa: E402
from datasets.masks.writer import write_masks  # noqa: E402
from datasets.prepared.names import case_names  # noqa: E402
from datasets.prepared.split_files import read_split  # noqa: E402
from datasets.sides import in_words  # noqa: E402
from util.arguments import TakeAll, add_spacing_argument  # noqa: E402
from util.files import printable, sha256, write_atomic  # noqa: E402
from util.reporting.masks.suspect_pictures import write_suspect_pictures  # noqa: E402

_PICTURES = 40  # of the most suspicious structures


def main() -> None:
    args = parse_args()
    notes = Notes()
    preparing = matched(args, notes)
    strata = strata_of(args, preparing)
    split = split_of(args, preparing, notes, strata)
    pool = [stem for name in ("train", "val") for stem in split.get(name, ())]
    folds = {}
    if args.folds:
        persons = {stem: preparing.persons[stem] for stem in pool}
        parts = folds_by_person(persons, args.folds, args.seed, strata)
        folds[str(args.folds)] = [[preparing.cases_of[stem] for stem in part] for part in parts]
    write_masks(
        args.output,
        {name: preparing.cases(stems) for name, stems in split.items()},
        class_set=preparing.class_set,
        labels=args.labels,
        created_by=" ".join([f"tools/prepare_masks.py --seed {args.seed}", *stratified_by(args)]),
        source_files=source_hashes(args.images, preparing, [s for stems in split.values() for s in stems]),
        seed=args.seed,
        folds=folds,
    )
    report(args.output, preparing, notes, split)


def matched(args: argparse.Namespace, notes: Notes) -> Preparing:
    """Images and annotations by name. Raises ValueError where not one belongs together."""
    source = source_of(args, notes)
    if not source.classes:
        raise ValueError(
            f"{args.polygons or args.coco}: names no class, expected one or more. Export it anew."
        )
    images = by_stem(find_images([args.images]).files, args.images, "image")
    both = {stem: file for stem, file in images.items() if stem in source.files}
    if not both:
        raise ValueError(
            f"{args.images}: none of {len(images)} images ({', '.join(list(images)[:3])}, ...) is named as "
            f"one of the {len(source.files)} annotations ({', '.join(list(source.files)[:3])}, ...)."
        )
    for stem in sorted(images.keys() - both.keys()):
        notes.add("images without annotation, left out", stem)
    for stem in sorted(source.files.keys() - both.keys()):
        notes.add("annotations without image, left out", stem)
    names = case_names(both.values())
    cases_of = {stem: names[file] for stem, file in both.items()}
    for stem, case in cases_of.items():
        if case != stem:
            notes.add("names of other signs than A-Z a-z 0-9 . _ -, changed", f"{printable(stem)} to {case}")
    polygons = {stem: files[0] for stem, files in source.files.items()} if args.polygons else {}
    persons = persons_of(both, polygons, args.images, args.person)
    if args.person == "auto":
        note_persons(args, persons, {file.parent for file in both.values()}, notes)
    class_set = chosen_classes(source, args.classes, notes)
    attributes: dict[str, dict[str, str]] = {}
    if args.metadata:
        attributes = metadata_of(args, set(persons.values()), notes)
    if any(attributes.values()):
        class_set = replace(class_set, attributes={"sex": SEXES, **class_set.attributes})
    spacing = None if args.spacing is None else np.array((args.spacing * 2)[:2], np.float64)
    return Preparing(source, class_set, both, cases_of, persons, attributes, spacing, notes)


def note_persons(args: argparse.Namespace, persons: dict[str, str], folders: set[Path], notes: Notes) -> None:
    """Note by what persons were told, where it is not seen from ``folders``, those of the images."""
    own = all(stem == name for stem, name in persons.items())
    if own and len(folders) > 1:
        notes.add("images in folders, each a person of its own (else: --person folder)", args.images.name)
    if not own and len(folders) == 1:
        notes.add("persons are the folders of the polygons (else: --person image)", args.polygons.name)


def source_of(args: argparse.Namespace, notes: Notes) -> Source:
    if args.masks:
        return masks_source(args.masks, notes)
    return polygons_source(args.polygons, notes) if args.polygons else coco_source(args.coco)


def chosen_classes(source: Source, names: list[str] | None, notes: Notes) -> ClassSet:
    """The classes found, or ``names`` in their order; an annotation of any other is then refused."""
    class_set = class_set_of(source.name, tuple(names)) if names else source.class_set
    if class_set.pairs is None:
        notes.add("a side without its partner, so mirror images are refused", class_set.name)
    return class_set


def metadata_of(args: argparse.Namespace, persons: set[str], notes: Notes) -> dict[str, dict[str, str]]:
    """By person, the attributes that the table tells: it must have sex unless other columns are named."""
    found, unclear = read_metadata(args.metadata, persons, needs_sex=not args.stratify)
    for row in unclear:
        notes.add("sex not understood", row)
    for person in sorted(persons - found.keys()):
        notes.add("no row in the metadata", person)
    return found


def split_of(
    args: argparse.Namespace, preparing: Preparing, notes: Notes, strata: dict[str, str]
) -> dict[str, list[str]]:
    if args.split is None:
        shares = {"val": args.val, "test": args.test}
        return deal_split(preparing.persons, shares, args.seed, strata)
    split, left = read_split(args.split, preparing.images)
    for stem in left:
        notes.add("images that the split does not name, left out", stem)
    return split


def strata_of(args: argparse.Namespace, preparing: Preparing) -> dict[str, str]:
    """By case, what splits and folds are dealt evenly by: the columns asked for, or sex where it is known."""
    if not args.stratify:
        return {
            stem: preparing.attributes.get(person, {}).get("sex", "")
            for stem, person in preparing.persons.items()
        }
    if args.metadata is None:
        raise ValueError(f"{' '.join(stratified_by(args))}: columns of no table. Give --metadata FILE.")
    if args.split and not args.folds:
        raise ValueError(
            f"{' '.join(stratified_by(args))}: --split says where all images go, so nothing is dealt. Leave "
            "one of the two out, or add --folds 5."
        )
    persons = sorted(set(preparing.persons.values()))
    values = read_columns(args.metadata, persons, args.stratify)
    strata = strata_of_columns(args.stratify, values, persons)
    return {stem: strata[person] for stem, person in preparing.persons.items()}


def stratified_by(args: argparse.Namespace) -> list[str]:
    return ["--stratify", *args.stratify] if args.stratify else []


def source_hashes(folder: Path, preparing: Preparing, stems: list[str]) -> dict[str, str]:
    """SHA-256 of every image and annotation file used, by its path below its folder or its name."""
    files = {preparing.images[stem] for stem in stems}
    files |= {file for stem in stems for file in preparing.source.files[stem]}
    return {
        (
            file.relative_to(folder) if file.is_relative_to(folder) else Path(*file.parts[-2:])
        ).as_posix(): sha256(file)
        for file in sorted(files)
    }


def report(output: Path, preparing: Preparing, notes: Notes, split: dict[str, list[str]]) -> None:
    """Print what was noticed, and write it down beside the data, with pictures of suspicious labels."""
    classes, areas = preparing.class_set.classes, np.stack(preparing.areas)
    suspects = find_suspects(preparing.names, classes, np.stack(preparing.centres), areas)
    of_train = np.isin(preparing.names, [preparing.cases_of[stem] for stem in split.get("train", ())])
    for k in np.flatnonzero(~areas[of_train].any(0)):
        where = "of train shows" if areas[:, k].any() else "shows"
        notes.add(f"classes that no image {where}", classes[k])
    persons = len({preparing.persons[stem] for stems in split.values() for stem in stems})
    preparing.note_doubts()
    print(f"{len(classes)} classes: {', '.join(classes)}")
    if preparing.class_set.pairs is not None:  # else it is among the notes
        print(in_words(classes, preparing.class_set.pairs))
    for line in notes.lines():
        print(line)
    found = {"noticed": notes.to_dict(), "suspects": [vars(suspect) for suspect in suspects]}
    write_atomic(output / "checks.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if suspects:
        write_pictures(output, split, suspects[:_PICTURES])
        print(f"suspicious labels: {len(suspects)}, the first of them:")
        print(*(f"  {s.case} {s.structure}: {s.reason}" for s in suspects[:10]), sep="\n")
        print(f"all in {output / 'checks.json'}, pictures in {output / 'suspects'}")
    print(
        ", ".join(f"{name} {len(stems)}" for name, stems in split.items()), f"({persons} persons) -> {output}"
    )


def write_pictures(output: Path, split: dict[str, list[str]], suspects: list[Suspect]) -> None:
    for name in split:
        dataset = MaskDataset(output, name)
        write_suspect_pictures(output / "suspects", dataset, suspects)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of images, in it or in folders")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--masks", type=Path, help="a folder a class, in it a PNG an image")
    given.add_argument("--polygons", type=Path, help="JSON an image: annotations of label and points")
    given.add_argument("--coco", type=Path, help="one file of COCO instances")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    parser.add_argument("--split", type=Path, help='{"train": [names], "val": [...], "test": [...]}')
    parser.add_argument("--val", type=float, default=0.15, help="share of persons for val (0.15)")
    parser.add_argument("--test", type=float, default=0.2, help="share of persons for test (0.2)")
    parser.add_argument("--folds", type=int, help="also deal train and val into this many parts by person")
    parser.add_argument("--seed", type=int, default=0, help="of splits and folds (0)")
    parser.add_argument(
        "--classes", nargs="+", action=TakeAll, metavar="NAME", help="in this order; any other is refused"
    )
    parser.add_argument(
        "--metadata", type=Path, help="table with ID, and sex or the columns of --stratify, .xlsx or .csv"
    )
    parser.add_argument(
        "--stratify",
        nargs="+",
        action=TakeAll,
        metavar="COLUMN",
        help="deal splits and folds evenly by these columns of --metadata together (sex)",
    )
    parser.add_argument(
        "--person", choices=("auto", "folder", "image"), default="auto", help="whose image one is (auto)"
    )
    parser.add_argument("--labels", default="as given", help="whose labels these are, for the record")
    add_spacing_argument(parser)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"prepare_masks: {error}")

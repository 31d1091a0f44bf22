"""Prepare images with boxes for training and evaluation: COCO JSON, YOLO text files or Pascal VOC XML.

    python tools/prepare_coco.py --train T.json --val V.json --images DIR... --output data/teeth
    python tools/prepare_coco.py --from yolo --classes data.yaml --train labels/train --val labels/val \\
        --images images --output data/cells

What is wrong in the annotations is told, all of it at once. Boxes without an extent and boxes given twice are
left out, boxes beyond the border are cut off there; anything else must be corrected in the source first.
"""

import argparse
import logging
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.boxes.class_set import BoxClasses  # noqa: E402
from datasets.boxes.coco_file import coco_classes, read_coco  # noqa: E402
from datasets.boxes.coco_folder import find_image  # noqa: E402
from datasets.boxes.faults import Faults  # noqa: E402
from datasets.boxes.objects import BoxRecord, warn_of_absent  # noqa: E402
from datasets.boxes.text_labels import read_class_names, read_voc, read_yolo, voc_class_names  # noqa: E402
from datasets.boxes.writer import write_boxes  # noqa: E402
from datasets.files.colour import picture_size  # noqa: E402
from datasets.files.kinds import IMAGE_SUFFIXES  # noqa: E402
from datasets.prepared.splits import split_by_image  # noqa: E402
from datasets.prepared.subsets import read_json  # noqa: E402
from datasets.sides import in_words  # noqa: E402
from util.arguments import TakeAll  # noqa: E402
from util.files import sha256  # noqa: E402

Read = tuple[BoxClasses, dict[str, list[BoxRecord]], list[Faults]]


def main() -> None:
    args = parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    parts = {name: path for name in ("train", "val", "test") if (path := getattr(args, name))}
    check_folders(args.images)
    classes, splits, faults = {"coco": read_coco_parts, "yolo": read_yolo_parts, "voc": read_voc_parts}[
        args.form
    ](parts, args)
    for name, fault in zip(splits, faults, strict=True):
        warn_of_absent(splits[name], classes, fault)
    raise_together(faults)
    faults.append(without_labels(parts, splits, args))
    for fault in faults:
        fault.log_repairs()
    if args.hold_out:
        splits = held_out(splits, args.hold_out, args.seed)
    about = {
        "labels": args.form,
        "created_by": f"tools/prepare_coco.py --from {args.form} --size {args.size}",
        "source_files": {path.name: sha256(path) for path in parts.values() if path.is_file()},
        "seed": args.seed,
        "repairs": [sentence for fault in faults for sentence in fault.repair_sentences()],
    }
    colour = {"auto": None, "grey": False, "rgb": True}[args.colour]
    write_boxes(args.output, splits, classes, about=about, longer_side=args.size, colour=colour)
    for name, records in splits.items():
        print(f"{name}: {len(records)} images, {sum(len(record.labels) for record in records)} boxes")
    print(in_words(classes.names, classes.pairs))
    print(f"{len(classes)} classes -> {args.output}")


def read_coco_parts(parts: Mapping[str, Path], args: argparse.Namespace) -> Read:
    """All splits of COCO files of the same categories."""
    data = {name: read_json(path) for name, path in parts.items()}
    found = {name: coco_classes(data[name], str(path)) for name, path in parts.items()}
    classes = next(iter(found.values()))
    for name, other in found.items():
        if other != classes:
            raise ValueError(
                f"{parts[name]}: categories differ from those of {next(iter(parts.values()))}, expected the "
                "same ids and names in every split. List all classes in each file."
            )
    faults = [Faults(str(path)) for path in parts.values()]
    splits = {
        name: read_coco(
            data[name],
            classes,
            fault,
            partial(image_of_split, args.images, split_folders(args.images, name)),
            picture_size,
        )
        for name, fault in zip(parts, faults, strict=True)
    }
    return classes, splits, faults


def read_yolo_parts(parts: Mapping[str, Path], args: argparse.Namespace) -> Read:
    """All splits of folders of YOLO label files, or of lists of images."""
    if args.classes is None:
        raise ValueError(
            "YOLO's label files hold numbers only. Give --classes FILE: data.yaml, or a name a line."
        )
    classes = read_class_names(args.classes)
    faults = [Faults(str(path)) for path in parts.values()]
    splits = {
        name: read_yolo(path, classes, split_folders(args.images, name), fault)
        for (name, path), fault in zip(parts.items(), faults, strict=True)
    }
    return classes, splits, faults


def read_voc_parts(parts: Mapping[str, Path], args: argparse.Namespace) -> Read:
    """All splits of folders of Pascal VOC files, or of lists of images; classes by name, sorted."""
    classes = read_class_names(args.classes) if args.classes else voc_class_names(list(parts.values()))
    faults = [Faults(str(path)) for path in parts.values()]
    splits = {
        name: read_voc(path, classes, split_folders(args.images, name), fault)
        for (name, path), fault in zip(parts.items(), faults, strict=True)
    }
    return classes, splits, faults


def without_labels(
    parts: Mapping[str, Path], splits: Mapping[str, list[BoxRecord]], args: argparse.Namespace
) -> Faults:
    """The images that folders of label files leave out, since none of these files is theirs."""
    faults = Faults(", ".join(map(str, args.images)))
    if not any(part.is_dir() for part in parts.values()):
        return faults
    taken = {record.file.absolute() for records in splits.values() for record in records}
    places = dict.fromkeys(place for split in parts for place in split_folders(args.images, split))
    for file in (file for place in places for file in sorted(place.iterdir())):
        if file.suffix.lower() in IMAGE_SUFFIXES and file.absolute() not in taken:
            faults.repair("images without a label file left out", file.name)
    return faults


def image_of_split(folders: list[Path], own: list[Path], name: str) -> Path:
    """The image ``name`` in ``folders``: where not just one of them has it, in the split's ``own``."""
    try:
        return find_image(folders, name)
    except ValueError:
        if own == folders:
            raise
        return find_image(own, name)


def split_folders(folders: list[Path], split: str) -> list[Path]:
    """The folders called after ``split`` (``train2017``, ``images/train``), or all and such ones in them."""
    named = [folder for folder in folders if folder.name.startswith(split)]
    inside = [place for folder in folders for place in sorted(folder.glob(f"{split}*")) if place.is_dir()]
    return named or [*folders, *inside]


def held_out(splits: dict[str, list[BoxRecord]], count: int, seed: int) -> dict[str, list[BoxRecord]]:
    """``count`` images of train, by a seeded draw, become val."""
    if "val" in splits or "train" not in splits:
        raise ValueError("--hold-out makes val from train: give --train, and no --val.")
    names = [record.file.name for record in splits["train"]]
    if len(set(names)) < len(names):  # of several folders: their ids tell them apart
        names = [f"{record.file.name} {record.image_id}" for record in splits["train"]]
    by_name = dict(zip(names, splits["train"], strict=True))
    if not 0 < count < len(by_name):
        raise ValueError(
            f"--hold-out {count}: expected 1 to {len(by_name) - 1} of the {len(by_name)} images."
        )
    dealt = split_by_image(by_name, {"train": len(by_name) - count, "val": count}, seed)
    parts = {name: [by_name[file] for file in files] for name, files in dealt.items()}
    return {**parts, **{name: records for name, records in splits.items() if name != "train"}}


def raise_together(faults: list[Faults]) -> None:
    """Raise ValueError that tells the errors of every split."""
    sentences = []
    for fault in faults:
        try:
            fault.raise_errors()
        except ValueError as error:
            sentences.append(str(error))
    if sentences:
        raise ValueError("\n".join(sentences))


def check_folders(folders: list[Path]) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder, expected one of images (--images).")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--from", dest="form", choices=("coco", "yolo", "voc"), default="coco", help="what is read (coco)"
    )
    what = "COCO file; for yolo and voc a folder of label files or a list of images"
    parser.add_argument("--train", type=Path, help=what)
    parser.add_argument("--val", type=Path, help="the same of the images that choose the checkpoint")
    parser.add_argument("--test", type=Path, help="the same of the images that are only tested on")
    parser.add_argument(
        "--images", type=Path, nargs="+", action=TakeAll, required=True, help="folders of the images"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    parser.add_argument("--classes", type=Path, help="class names, needed for yolo: data.yaml, or one a line")
    parser.add_argument("--hold-out", type=int, default=0, help="images of train that become val (0)")
    parser.add_argument("--seed", type=int, default=0, help="of the hold-out and of folds (0)")
    parser.add_argument("--size", type=int, default=0, help="longest side in pixels; 0 (default) keeps all")
    parser.add_argument(
        "--colour", choices=("auto", "grey", "rgb"), default="auto", help="of the images (auto)"
    )
    args = parser.parse_args()
    if not (args.train or args.val or args.test):
        parser.error("nothing to prepare: give --train, --val or --test.")
    if args.size < 0:
        parser.error(f"--size {args.size}: expected pixels, or 0 to keep all.")
    return args


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"prepare_coco: {error}")

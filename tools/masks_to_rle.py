"""Masks as the hand task's file of image_name,class,rle: row by row, starts counted from 1.

    python tools/masks_to_rle.py --masks DIR --output submission.csv
    python tools/masks_to_rle.py --coco F.json --classes Radius Ulna --output submission.csv

--masks: a folder a class, in it a PNG an image, as inference.py --png writes them. Every image gets a row for
every class, an empty one where nothing was found. What is written is read back and compared.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.masks.annotation import Annotation, Notes  # noqa: E402
from datasets.masks.sources import Source, coco_source, masks_source  # noqa: E402
from util.arguments import TakeAll  # noqa: E402
from util.prediction.masks.run_lengths import decode_rows  # noqa: E402
from util.prediction.masks.submission import Submission, write_submission  # noqa: E402


def main() -> None:
    args = parse_args()
    notes = Notes()
    source = masks_source(args.masks, notes) if args.masks else coco_source(args.coco)
    classes = tuple(args.classes or source.class_set.classes)
    size = tuple(args.size) if args.size else None
    names = {stem: f"{stem}{args.suffix}" for stem in sorted(source.files)}
    images = ((name, masks_of(source.read(stem), classes, size, notes)) for stem, name in names.items())
    rows = write_submission(args.output, classes, images)
    compare(args.output, source, names, classes, size)
    for line in notes.lines():
        print(line)
    print(f"{len(names)} images, {len(classes)} classes, {rows} rows -> {args.output}")


def masks_of(
    found: Annotation, classes: tuple[str, ...], size: tuple[int, int] | None, notes: Notes
) -> Iterator[np.ndarray]:
    """Every class of one image in order; what was mended is noted, a scaled mask above all.

    Raises ValueError for a class that is not asked for.
    """
    size = size or found.size
    assert size is not None  # both sources know it
    return (shape.mask(size) for shape in found.shapes(classes, size, notes))


def compare(
    file: Path,
    source: Source,
    names: dict[str, str],
    classes: tuple[str, ...],
    size: tuple[int, int] | None,
) -> None:
    """Raise ValueError unless the file gives back the very masks."""
    written = Submission(file)
    for stem, name in names.items():
        masks = masks_of(source.read(stem), classes, size, Notes())  # what is mended was noted before
        for structure, mask in zip(classes, masks, strict=True):
            back = decode_rows(written.text(name, structure), (mask.shape[1], mask.shape[0]))
            if not np.array_equal(back, mask):
                raise ValueError(f"{file}: {name}, {structure}: not the mask that was written.")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--masks", type=Path, help="a folder a class, in it a PNG an image")
    given.add_argument("--coco", type=Path, help="one file of COCO instances")
    parser.add_argument("--output", type=Path, required=True, help="CSV file to write")
    parser.add_argument(
        "--classes", nargs="+", action=TakeAll, metavar="NAME", help="in this order; default: those found"
    )
    parser.add_argument("--suffix", default=".png", help="of the image names in the file (.png)")
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="of the images")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"masks_to_rle: {error}")

"""Check a file of image_name,class,rle before it is handed in: rows, convention, bounds.

    python tools/check_rle.py submission.csv --images DCM

Exit code 1 and a line a fault where something is wrong.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.files.colour import picture_size  # noqa: E402
from datasets.files.image_files import read_images  # noqa: E402
from datasets.files.kinds import Kind, kind_of  # noqa: E402
from datasets.files.search import find_images  # noqa: E402
from datasets.masks.hand_task import BONES  # noqa: E402
from util.arguments import TakeAll  # noqa: E402
from util.prediction.masks.submission import faults  # noqa: E402


def main() -> None:
    args = parse_args()
    images = by_name(find_images([args.images]).files)
    size = tuple(args.size) if args.size else {name: size_of(file) for name, file in images.items()}
    found = list(faults(args.file, list(images), args.classes, size))
    if found:
        raise ValueError("\n".join([f"{len(found)} faults", *found]))
    print(f"{args.file}: sound, {len(images)} images of {len(args.classes)} classes")


def by_name(files: Sequence[Path]) -> dict[str, Path]:
    """Without folders. Raises ValueError for two images of one name, whose rows nobody could tell apart."""
    images: dict[str, Path] = {}
    for file in files:
        if file.name in images:
            raise ValueError(
                f"{images[file.name]} and {file} share the name {file.name}, by which the rows tell images "
                "apart. Rename one."
            )
        images[file.name] = file
    return images


def size_of(image: Path) -> tuple[int, int]:
    """(width, height). Raises ValueError for what cannot be read."""
    if kind_of(image) is Kind.PICTURE:
        return picture_size(image)
    height, width = next(read_images(image)).image.shape
    return width, height


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="CSV of image_name,class,rle")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images it is about")
    parser.add_argument(
        "--classes", nargs="+", action=TakeAll, default=list(BONES), help="default: the 29 bones of the hand"
    )
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="of the masks (default: each image's)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"check_rle: {error}")

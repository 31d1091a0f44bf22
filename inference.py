"""Find the landmarks on images: PNG, JPEG, BMP, TIFF, DICOM and MHA stacks, single files or folders.

python inference.py --checkpoint runs/NAME/best.pt --input xray.dcm folder/ --output landmarks.json

Exit code 0: all went well; 1: something failed, the rest is written; 2: bad arguments or a model whose
predictions are not finite, no landmarks are written.
"""

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.image_files import SourceImage, find_images, read_images
from util.checkpoint import LoadedModel, load_model
from util.landmark_files import image_record, write_landmark_files
from util.predict import LandmarkPredictor, pick_device
from util.visualise import overlay, write_png


def main() -> int:
    args = parse_arguments()
    failed: list[dict[str, str]] = []
    files = list_files(args.input, failed)
    try:
        loaded = load_model(args.checkpoint, pick_device(args.device))
        if not files:
            raise ValueError(
                f"no image among {[str(path) for path in args.input]}. Give images or folders of them."
            )
        images = read_all(files, args.spacing, failed)
        records = predict_all(loaded, images, args.batch_size, args.show_dir)
    except ValueError as error:
        print(f"inference.py: {error}", file=sys.stderr)
        return 2
    write_landmark_files(args.output, model=describe(loaded), images=records, failed=failed)
    print(f"{len(records)} images, {len(failed)} failed: {args.output.with_suffix('.json')} and .csv")
    return 1 if failed else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Find the landmarks on images.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="RUN/best.pt or RUN/last.pt")
    parser.add_argument(
        "--input", type=Path, nargs="+", required=True, metavar="PATH", help="images or folders"
    )
    parser.add_argument("--output", type=Path, required=True, help="FILE.json; FILE.csv is written beside it")
    parser.add_argument("--show-dir", type=Path, help="write an overlay an image")
    parser.add_argument(
        "--spacing",
        type=float,
        nargs="+",
        metavar="MM",
        help="mm per pixel, one number or x and y; overrides the files",
    )
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    args = parser.parse_args()
    if args.spacing and (
        len(args.spacing) > 2 or not all(math.isfinite(mm) and mm > 0 for mm in args.spacing)
    ):
        parser.error(f"--spacing {args.spacing}: expected one or two positive numbers, mm per pixel.")
    if args.output.suffix not in (".json", ".csv"):
        parser.error(f"--output {args.output}: expected FILE.json (or FILE.csv); both are written.")
    if args.batch_size < 1:
        parser.error(f"--batch-size {args.batch_size}: expected 1 or more.")
    return args


def list_files(paths: list[Path], failed: list[dict[str, str]]) -> list[Path]:
    """Every image file of ``paths``, once; a path that has none is reported and noted in ``failed``."""
    files: list[Path] = []
    for path in paths:
        try:
            files += find_images([path])
        except (ValueError, OSError) as error:
            note_failure(path, error, failed)
    return list(dict.fromkeys(files))


def read_all(
    files: list[Path], spacing: list[float] | None, failed: list[dict[str, str]]
) -> Iterator[SourceImage]:
    """Every image and slice, one at a time; a file that cannot be read is noted in ``failed``."""
    for file in tqdm(files, unit="file"):
        try:
            for image in read_images(file):
                yield image if spacing is None else replace(image, spacing=np.resize(spacing, 2))
        except (ValueError, OSError) as error:
            note_failure(file, error, failed)


def note_failure(file: Path, error: Exception, failed: list[dict[str, str]]) -> None:
    print(f"inference.py: {file} failed: {error}", file=sys.stderr)
    failed.append({"file": str(file), "error": str(error)})


def predict_all(
    loaded: LoadedModel, images: Iterator[SourceImage], batch_size: int, show_dir: Path | None
) -> list[dict]:
    """A record an image, numbers only; the images themselves are let go batch by batch."""
    records, names = [], set()
    for image, found in LandmarkPredictor(loaded).stream(images, batch_size):
        records.append(image_record(image, found, loaded.landmark_set))
        if show_dir:
            name = overlay_name(image, names)
            names.add(name)
            write_png(show_dir / name, overlay(image.image, found.points, radius=found.uncertainty_px))
    return records


def overlay_name(image: SourceImage, taken: set[str]) -> str:
    """STEM.png or STEM_slice0001.png; numbered where files of two folders share a name."""
    stem = image.file.stem if image.slice is None else f"{image.file.stem}_slice{image.slice:04d}"
    name, number = f"{stem}.png", 2
    while name in taken:
        name, number = f"{stem}_{number}.png", number + 1
    return name


def describe(loaded: LoadedModel) -> dict:
    """What the results say about the model that found them."""
    landmark_set = loaded.landmark_set
    return {
        "checkpoint": str(loaded.file),
        "landmark_set": landmark_set.name,
        "landmark_names": landmark_set.note,
        "labels": loaded.labels,
    }


if __name__ == "__main__":
    sys.exit(main())

"""Find landmarks, boxes or masks on images, as the model was trained to.

Reads PNG, JPEG, BMP, TIFF, DICOM and MHA stacks, single files or folders.

    python inference.py --input xray.png
    python inference.py --checkpoint runs/NAME/best.pt --input xray.dcm folder/ --output landmarks.json

The first line uses the weights that ship, of the 38 landmarks of a lateral cephalogram, and draws what it
finds. Several checkpoints are averaged as one ensemble; --scales and --crop look at each image more than
once (docs/test_time.md).

Large archives in shards that can be killed and started again (docs/scaling.md): ``--shard 3/100``, or

    torchrun --nproc_per_node 2 inference.py ... --output landmarks.json

Exit code 0: all went well; 1: something failed, the rest is written; 2: bad arguments or a model whose
predictions are not finite, no landmarks are written. Of several shards, the one that ends last merges the
results and exits with 0 or 1; the others exit with 0.
"""

import argparse
import logging
import os
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from datasets.files.image_files import SourceImage
from datasets.files.search import summary
from util.arguments import (
    add_device_argument,
    add_spacing_argument,
    checkpoints_of,
    escape_on_console,
    positive,
)
from util.prediction.predict_files import FilePredictor, Found, list_files
from util.prediction.predictor import load_predictor, task_of_file
from util.prediction.protocols import Answers, Looks, Predictor
from util.prediction.shard import Shard, num_gpus, take_own_gpu
from util.training.task import Task

SHIPPED = Path(__file__).resolve().parent / "weights" / "cephdetr38.safetensors"
DEFAULT_OUTPUT = Path("outputs/inference/landmarks.json")


def main() -> int:
    escape_on_console()
    logging.basicConfig(format="inference.py: %(message)s")
    try:
        args, task = parse_arguments()
        if args.shard is None:
            images, failures = predict_at_once(args, task)
        else:
            if args.device == "auto" and (taken := take_own_gpu(args.shard, os.environ, num_gpus())):
                print(taken)
            images, failures = predict_shard(args, task)
    except ValueError as error:
        print(f"inference.py: {error}", file=sys.stderr)
        return 2
    if images is None:
        return 0
    print(f"{images} images, {failures} failed: {args.output.with_suffix('.json')} and .csv")
    if args.show_dir:
        print(f"Overlays: {args.show_dir}")
    return 1 if failures else 0


def parse_arguments() -> tuple[argparse.Namespace, Task]:
    """The arguments, and the task of the checkpoint, which has some of its own."""
    parser = argparse.ArgumentParser(description="Find landmarks, boxes or masks on images.")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        nargs="+",
        default=[SHIPPED],
        metavar="F",
        help="RUN/best.pt, weights/NAME.safetensors or an exported .onnx; several: an ensemble "
        "(default: the 38 landmarks)",
    )
    task = task_of_file(checkpoints_of(sys.argv[1:], [SHIPPED])[0])
    task.add_look_arguments(parser)
    task.add_inference_arguments(parser)
    parser.add_argument(
        "--input",
        "--image-dir",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="images or folders",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help=f"FILE.json; FILE.csv is written beside it (default: {DEFAULT_OUTPUT}, with overlays)",
    )
    parser.add_argument("--show-dir", type=Path, help="write an overlay an image")
    add_spacing_argument(parser)
    parser.add_argument("--batch-size", type=positive(int), default=4)
    add_device_argument(parser)
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="do share I of N, or what is left of it; the last of all merges. Default: the launcher's rank",
    )
    parser.add_argument("--retry-failed", action="store_true", help="with shards: read failed files again")
    args = parser.parse_args()
    try:
        args.shard = Shard.parse(args.shard) if args.shard else Shard.of_launcher(os.environ)
    except ValueError as error:
        parser.error(str(error))
    if args.output is None:
        if args.shard is not None:
            parser.error("--output: several processes share one result, so say where: --output FILE.json.")
        args.output, args.show_dir = DEFAULT_OUTPUT, args.show_dir or DEFAULT_OUTPUT.parent
    if args.output.suffix not in (".json", ".csv"):
        parser.error(f"--output {args.output}: expected FILE.json (or FILE.csv); both are written.")
    if args.shard is None and args.retry_failed:
        parser.error("--retry-failed: only what was done with --shard I/N can be tried again.")
    if args.shard is not None and args.show_dir:
        parser.error("--show-dir: overlays are for a few images, leave out --shard and launchers.")
    return args, task


def predict_at_once(args: argparse.Namespace, task: Task) -> tuple[int, int]:
    """Predict everything in this process and write the result; the numbers of images and of failures."""
    looks, as_read = task.looks(args), task.as_read(args)
    predictor = load(looks, task, args)
    found = Found()
    files = some_files(args.input, found)
    show = OverlayWriter(args.show_dir, predictor.answers) if args.show_dir else lambda _image, _found: None
    with tqdm(total=len(files), unit="file") as bar:
        predict = FilePredictor(
            predictor, args.batch_size, args.spacing, as_read, on_file=bar.update, on_image=show
        )
        rest = iter(files)
        while chunk := list(islice(rest, predict.chunk_size)):
            part = predict(chunk)
            found.images += part.images
            found.failed += part.failed
    model = describe(predictor, looks)
    written = predictor.answers.write(
        args.output, model=model, left_out=found.left_out, images=found.images, failed=found.failed
    )
    return written, len(found.failed)


def predict_shard(args: argparse.Namespace, task: Task) -> tuple[int | None, int]:
    """Do this process's share; if it is the last, merge, and give the numbers of images and of failures."""
    from util.files import sha256
    from util.prediction.archive import Archive

    looks, as_read, shard = task.looks(args), task.as_read(args), args.shard
    predictor = load(looks, task, args)
    pause = 0.1 if sys.stderr.isatty() else 30.0  # seconds between updates: a log file wants few lines
    with tqdm(desc=f"shard {shard.index}/{shard.count}", unit="file", mininterval=pause) as bar:
        predict = FilePredictor(predictor, args.batch_size, args.spacing, as_read, on_file=bar.update)
        settings = {
            "checkpoint_sha256": [sha256(file) for file in looks.checkpoints],
            **looks.settings(),
            **task.inference_settings(args),
            "input": [str(path.absolute()) for path in args.input],
            "spacing": args.spacing,
            "shards": shard.count,
            "batch_size": args.batch_size,
            "chunk_size": predict.chunk_size,
        }
        archive = Archive(args.output, settings, describe(predictor, looks), predictor.answers)
        archive.prepare(lambda found: some_files(args.input, found))
        if args.retry_failed:
            archive.retry_failed(shard, predict)
        archive.work(shard, predict)
    if open_shards := archive.unfinished(shard.count):
        print(f"shard {shard.index}/{shard.count} is done, {len(open_shards)} others are not.")
        return None, 0
    return archive.merge(shard.count)


def load(looks: Looks, task: Task, args: argparse.Namespace) -> Predictor:
    """What ``looks`` asks for, ready to predict."""
    members = [load_predictor(file, args.device) for file in looks.checkpoints]
    return task.inferring(looks.predictor(members), args)


def some_files(paths: list[Path], found: Found) -> list[Path]:
    """The image files of ``paths``; ValueError if there is none at all."""
    files = list_files(paths, found)
    if found.left_out:
        print(summary(found.left_out))
    if not files:
        raise ValueError(f"no image among {[str(path) for path in paths]}. Give images or folders of them.")
    return files


class OverlayWriter:
    """Writes each image with what was found drawn in: STEM.png or STEM_slice0001.png in ``folder``."""

    def __init__(self, folder: Path, answers: Answers) -> None:
        self._folder, self._answers = folder, answers
        self._taken: set[str] = set()

    def __call__(self, image: SourceImage, found: Any) -> None:
        from util.reporting.visualise import write_png  # with the models' classes comes PyTorch

        write_png(self._folder / self._name(image), self._answers.overlay(image, found))

    def _name(self, image: SourceImage) -> str:
        """Numbered where files of two folders share a name."""
        stem = image.file.stem if image.slice is None else f"{image.file.stem}_slice{image.slice:04d}"
        name, number = f"{stem}.png", 2
        while name in self._taken:
            name, number = f"{stem}_{number}.png", number + 1
        self._taken.add(name)
        return name


def describe(predictor: Predictor, looks: Looks) -> dict:
    """What the results say about the model that found them, or the models."""
    return {
        "checkpoint": str(predictor.file),
        "test_time": looks.to_dict(),
        **predictor.answers.about(),
    }


if __name__ == "__main__":
    sys.exit(main())

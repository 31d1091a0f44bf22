"""Find landmarks, boxes or masks on images, as the model was trained to.

Reads PNG, JPEG, BMP, TIFF, DICOM and MHA stacks, single files or folders.

    python inference.py --input xray.png
    python inference.py --checkpoint runs/NAME/best.pt --input xray.dcm folder/ --output landmarks.json

The first line uses the weights that ship, of the 38 landmarks of a lateral cephalogram, and draws what it
finds. Several checkpoints are averaged as one ensemble; --scales and --crop look at each image more than
once (docs/test_time.md).

A run that was killed goes on where it was when the same command is given again. Several processes share the
work (docs/scaling.md) by ``--shard 3/100``, or by

    torchrun --nproc_per_node 2 inference.py ... --output landmarks.json

Exit code 0: all went well; 1: something failed, the rest is written; 2: bad arguments or a model whose
predictions are not finite, no landmarks are written. Of several shards, the one that ends last merges the
results and exits with 0 or 1; the others exit with 0.
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from datasets.files.image_files import SourceImage
from datasets.files.search import summary
from util.arguments import (
    TakeAll,
    add_device_argument,
    add_model_config_argument,
    add_spacing_argument,
    checkpoints_of,
    escape_on_console,
    model_config_of,
    positive,
)
from util.checkpoints.one_of_several import content_of
from util.files import printable
from util.prediction.archive import Archive
from util.prediction.predict_files import FilePredictor, Found, list_files
from util.prediction.predictor import load_predictor, require_one_task, task_of_file
from util.prediction.protocols import Answers, Looks, Predictor
from util.prediction.shard import ALONE, Shard, num_gpus, take_own_gpu
from util.prediction.stems import Stems
from util.reporting.visualise import write_png
from util.training.task import Task

SHIPPED = Path(__file__).resolve().parent / "weights" / "cephdetr38.safetensors"
DEFAULT_OUTPUT = Path("outputs/inference")


def main() -> int:
    escape_on_console()
    logging.basicConfig(format="inference.py: %(message)s")
    try:
        args, task = parse_arguments()
        if (
            args.shard
            and args.device == "auto"
            and (taken := take_own_gpu(args.shard, os.environ, num_gpus()))
        ):
            print(taken)
        counted = predict_share(args, task)
    except ValueError as error:
        print(f"inference.py: {error}", file=sys.stderr)
        return 2
    if counted is None:
        return 0
    images, failures = counted
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
        action=TakeAll,
        default=[SHIPPED],
        metavar="F",
        help="RUN/best.pt, weights/NAME.safetensors or an exported .onnx; several: an ensemble "
        "(default: the 38 landmarks)",
    )
    add_model_config_argument(parser)
    task = task_of_file(checkpoints_of(sys.argv[1:], [SHIPPED])[0], model_config_of(sys.argv[1:]))
    task.add_look_arguments(parser)
    task.add_inference_arguments(parser)
    parser.add_argument(
        "--input",
        "--image-dir",
        type=Path,
        nargs="+",
        action=TakeAll,
        required=True,
        metavar="PATH",
        help="images or folders",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="FILE.json; FILE.csv is written beside it (default: "
        f"{DEFAULT_OUTPUT / task.name}.json, with overlays)",
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
        args.output = DEFAULT_OUTPUT / f"{task.name}.json"
        args.show_dir = args.show_dir or DEFAULT_OUTPUT
    if args.output.suffix not in (".json", ".csv"):
        parser.error(f"--output {args.output}: expected FILE.json (or FILE.csv); both are written.")
    if args.shard is None and args.retry_failed:
        parser.error("--retry-failed: only what was done with --shard I/N can be tried again.")
    if args.shard is not None and args.show_dir:
        parser.error("--show-dir: overlays are for a few images, leave out --shard and launchers.")
    return args, task


def predict_share(args: argparse.Namespace, task: Task) -> tuple[int, int] | None:
    """Do this process's share, or what is left of it; if it is the last, write the result of all.

    The numbers of images and of failures; None while other shares are not done.
    """
    looks, shard = task.looks(args), args.shard or ALONE
    predictor = load(looks, task, args)
    overlays = OverlayWriter(args.show_dir, predictor.answers) if args.show_dir else None
    with progress(args.shard) as bar:
        predict = FilePredictor(
            predictor,
            args.batch_size,
            args.spacing,
            task.as_read(args),
            on_file=bar.update,
            on_image=overlays or (lambda _image, _found: None),
        )
        settings = settings_of(args, task, looks) | {"shards": shard.count, "chunk_size": predict.chunk_size}
        archive = Archive(args.output, settings, describe(predictor, looks, settings), predictor.answers)
        archive.prepare(lambda found: some_files(args.input, found))
        bar.total, done = archive.progress(shard)
        if done:
            print(f"{archive.folder}: goes on, {done} of {bar.total} files were done before.")
        bar.update(done)
        if overlays:
            overlays.pass_over(archive.found(shard))
        if args.retry_failed:
            archive.retry_failed(shard, predict)
        archive.work(shard, predict)
    if open_shards := archive.unfinished(shard.count):
        print(f"shard {shard.index}/{shard.count} is done, {len(open_shards)} others are not.")
        return None
    counted = archive.merge(shard.count)
    if args.shard is None:
        archive.remove()
    return counted


def settings_of(args: argparse.Namespace, task: Task, looks: Looks) -> dict[str, Any]:
    """All that the result depends on; a run that was killed goes on only with the same."""
    config = {} if args.model_config is None else {"model_config_sha256": content_of(args.model_config)}
    return {
        "checkpoint_sha256": [content_of(file) for file in looks.checkpoints],
        **config,
        **looks.settings(),
        **task.inference_settings(args),
        "input": [str(path.absolute()) for path in args.input],
        "spacing": args.spacing,
        "show_dir": args.show_dir and str(args.show_dir.absolute()),
        "batch_size": args.batch_size,
    }


def progress(shard: Shard | None) -> tqdm:
    """A bar of files; a log file wants few lines."""
    name = f"shard {shard.index}/{shard.count}" if shard else None
    return tqdm(desc=name, unit="file", mininterval=0.1 if sys.stderr.isatty() else 30.0)


def load(looks: Looks, task: Task, args: argparse.Namespace) -> Predictor:
    """What ``looks`` asks for, ready to predict."""
    require_one_task(task, looks.checkpoints, args.model_config)
    members = [load_predictor(file, args.device, args.model_config) for file in looks.checkpoints]
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
        self._stem_of = Stems()

    def __call__(self, image: SourceImage, found: Any) -> None:
        stem = self._stem_of(printable(image.file), image.slice)
        write_png(self._folder / f"{stem}.png", self._answers.overlay(image, found))

    def pass_over(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Keep the names of what an earlier process has drawn."""
        for record in records:
            self._stem_of(record["file"], record["slice"])


def describe(predictor: Predictor, looks: Looks, settings: Mapping[str, Any]) -> dict:
    """What the results say about the model that found them, or the models; ``settings``: of the run."""
    return {
        "checkpoint": str(predictor.file),
        "checkpoint_sha256": settings["checkpoint_sha256"],
        "test_time": looks.to_dict(),
        **predictor.answers.about(),
    }


if __name__ == "__main__":
    sys.exit(main())

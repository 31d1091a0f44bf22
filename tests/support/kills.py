"""SIGKILL at random moments of training, preparation, inference, its archives and export.

    python -m tests.support.kills --kills 100
    python -m tests.support.kills --kills 100 --job training

The kills are shared among the jobs, or all fall on one. Each job is started, killed, started again, and so
on, and at last left to end; then what it leaves must be what an undisturbed one leaves. It says how many
processes were killed, and how many had ended before their time came.
"""

import argparse
import hashlib
import json
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.prepared import PreparedCase, write_prepared
from tests.support.forked import finish, run_main, start
from tests.support.smoke_checkpoint import write_smoke_checkpoint
from tests.support.xray_files import picture
from util.checkpoints.checkpoint import load_checkpoint
from util.checkpoints.weights_file import read_weights, write_weights
from util.files import remove_leftovers
from util.prediction.archive import Archive
from util.prediction.landmarks.image_landmarks import ImageLandmarks
from util.prediction.landmarks.predict import Predictor
from util.prediction.predict_files import FilePredictor, list_files
from util.prediction.shard import Shard

SET = LandmarkSet("own", ("a", "b", "c"), ("A", "B", "C"))
_NUM_CASES, _NUM_FILES, _NUM_WEIGHTS = 24, 60, 200


@dataclass(frozen=True)
class Job:
    """``run(folder)`` starts or goes on, in a process of its own; ``result`` is what its end leaves."""

    run: Callable[[Path], None]
    result: Callable[[Path], object]


def make_data(folder: Path) -> None:
    """A prepared folder in ``folder/data``, as ``prepare`` writes it."""
    splits = {"train": range(12), "val": range(12, 16), "test": range(16, _NUM_CASES)}
    cases = {name: map(_case, numbers) for name, numbers in splits.items()}
    write_prepared(
        folder / "data",
        cases,
        landmark_set=SET,
        labels="synthetic",
        created_by="a test",
        source_files={},
        seed=0,
    )


def prepare(folder: Path) -> None:
    """Prepares anew unless that is done."""
    if not (folder / "data").exists():
        make_data(folder)


def train(folder: Path) -> None:
    """Goes on from the newest checkpoint, or anew where there is none."""
    prepare(folder)
    run = folder / "run"
    arguments = [f"data.folder={folder / 'data'}", f"train.output_dir={run}", "train.iterations=24"]
    arguments += ["train.save_minutes=0", "train.eval_every=4"]
    if any((run / name).exists() for name in ("last.pt", "last.previous.pt")):
        arguments += ["--resume-from-checkpoint", str(run)]
    else:
        shutil.rmtree(run, ignore_errors=True)
    run_main(arguments)


def archive(folder: Path) -> None:
    """One shard of two, then the other; the last one merges."""
    images = folder / "images"
    if not images.exists():
        _make_images(folder)
    predict = FilePredictor(BrightestPoint(), batch_size=1)
    settings = {"shards": 2, "chunk_size": predict.chunk_size}
    work = Archive(folder / "out.json", settings, {"checkpoint": "none"}, BrightestPoint().answers)
    work.prepare(lambda found: list_files([images], found))
    for index in (1, 2):
        work.work(Shard(index, 2), predict)
    work.merge(2)


def inference(folder: Path) -> None:
    """``inference.py`` on a folder, as it is typed; the same command again goes on."""
    images, checkpoint = folder / "images", folder / "m.pt"
    if not images.exists():
        _make_images(folder)
    if not checkpoint.exists():
        write_smoke_checkpoint(checkpoint, SET)
    named = ["--checkpoint", checkpoint, "--input", images, "--output", folder / "out.json"]
    sys.argv = ["inference.py", *map(str, named), "--batch-size", "1", "--device", "cpu"]
    runpy.run_path("inference.py", run_name="__main__")


def export(folder: Path) -> None:
    """Weights to hand out, written over and over; the last version stays."""
    remove_leftovers(folder / "w.safetensors")
    for version in range(_NUM_WEIGHTS):
        write_weights(folder / "w.safetensors", _checkpoint(version))


class BrightestPoint(Predictor):
    """Stands for a model that takes its time."""

    def __init__(self) -> None:
        super().__init__(SET, "none", Path("model.onnx"))

    def __call__(self, images):
        time.sleep(0.01)
        found = []
        for image in images:
            place = np.unravel_index(np.argmax(image.image), image.image.shape)
            points = np.array([place[::-1]] * 3, np.float64) + 0.5
            found.append(ImageLandmarks(points, np.ones(3), np.full(3, np.nan)))
        return found


JOBS = {
    "preparation": Job(prepare, lambda folder: _digest(folder / "data")),
    "training": Job(train, lambda folder: _weights(folder / "run" / "last.pt")),
    "archive": Job(archive, lambda folder: _records(folder / "out.json")),
    "inference": Job(inference, lambda folder: _records(folder / "out.json")),
    "export": Job(export, lambda folder: _version(folder)),
}


@dataclass(frozen=True)
class Count:
    """Processes of one job that were killed, and those that had ended before their time came."""

    killed: int
    ended_before: int


def kill_jobs(kills: int, seed: int, folder: Path, names: Sequence[str] = tuple(JOBS)) -> dict[str, Count]:
    """Kill each job in turn, ``kills`` times in all.

    Raises AssertionError where one leaves other than what an undisturbed one leaves.
    """
    rng = np.random.default_rng(seed)
    shares = {name: kills // len(names) + (place < kills % len(names)) for place, name in enumerate(names)}
    return {name: _kill(name, share, rng, folder) for name, share in shares.items()}


def _kill(name: str, kills: int, rng: np.random.Generator, folder: Path) -> Count:
    job, log = JOBS[name], folder / "log.txt"
    whole, hurt, timed = (folder / f"{name}-{end}" for end in ("whole", "killed", "timed"))
    for place in (whole, hurt, timed):
        place.mkdir(parents=True)
    assert _to_the_end(job, whole), (name, log.read_text())
    begin = time.monotonic()  # the first process also had to wait for the server that forks them
    assert _to_the_end(job, timed), name
    seconds = time.monotonic() - begin
    killed = ended_before = 0
    while killed < kills:
        process = start(job.run, hurt, log=log)
        process.join(rng.uniform(0.0, seconds))
        if process.exitcode is None:
            process.kill()
            process.join()
            killed += 1
            _version(hurt)  # whatever is exported is whole at any moment
        else:
            assert process.exitcode == 0, (name, log.read_text())
            assert job.result(hurt) == job.result(whole), name
            ended_before += 1
            shutil.rmtree(hurt), hurt.mkdir()
    assert _to_the_end(job, hurt), (name, log.read_text())
    assert job.result(hurt) == job.result(whole), name
    return Count(killed, ended_before)


def _to_the_end(job: Job, folder: Path) -> bool:
    code = finish(start(job.run, folder, log=folder.parent / "log.txt"))
    assert code != -signal.SIGKILL
    return code == 0


def _case(number: int) -> PreparedCase:
    rng = np.random.default_rng(number)
    points = rng.uniform(10.0, 70.0, (3, 2))
    image = np.roll(picture(96, 80), number, 1)
    return PreparedCase(f"c{number:02d}", image, points, np.array([0.5, 0.5]), f"c{number}.bmp", (80, 96))


def _make_images(folder: Path) -> None:
    """All of them or none."""
    rng, new = np.random.default_rng(0), folder / "images.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for number in range(_NUM_FILES):
        cv2.imwrite(str(new / f"{number:02d}.png"), rng.integers(0, 255, (12, 10), np.uint8))
    new.rename(folder / "images")


def _checkpoint(version: int) -> dict:
    return {
        "format": "any",
        "config": "data: {folder: x}\n",
        "labels": str(version),
        "weights": {"a": torch.full((64, 64), float(version % 7)), "mean_shape": torch.zeros(3, 2)},
    }


def _digest(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    assert files, folder
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()


def _weights(file: Path) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(load_checkpoint(file)["weights"].items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def _records(file: Path) -> list:
    """Where each image's landmarks are, by the name of its file."""
    record = json.loads(file.read_text())
    return [(Path(image["file"]).name, image["landmarks"]) for image in record["images"]]


def _version(folder: Path) -> str | None:
    """Of the weights that are there, which must be whole."""
    file = folder / "w.safetensors"
    return read_weights(file)["labels"] if file.exists() else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kill jobs at random moments.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--job", nargs="+", choices=tuple(JOBS), default=tuple(JOBS))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        result = kill_jobs(arguments.kills, arguments.seed, Path(place), arguments.job)
    for job_name, count in result.items():
        sys.stdout.write(
            f"{job_name}: {count.killed} killed, {count.ended_before} had ended before; nothing was lost\n"
        )

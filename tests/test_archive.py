"""Inference in shards: whatever is killed and however many there are, each image comes out once, the same."""

import json
import math
import multiprocessing
import os
import resource
import shutil
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.landmarks.landmark_set import LandmarkSet
from util.files import WriteError
from util.prediction.archive import Archive
from util.prediction.landmarks.image_landmarks import ImageLandmarks
from util.prediction.landmarks.predict import Predictor
from util.prediction.part_file import PartFile, read_lines
from util.prediction.predict_files import FilePredictor, list_files
from util.prediction.shard import Shard

FORK = multiprocessing.get_context("fork")
NUM_FILES = 60


class BrightestPoint(Predictor):
    """Stands for a model: finds something that differs between images, and leaves a trace of each call."""

    def __init__(self, trace: Path | None = None, last_call: float = math.inf) -> None:
        """SIGKILL ends the process after ``last_call`` calls."""
        super().__init__(LandmarkSet("own", ("bright", "dark"), ("B", "D")), "none", Path("model.onnx"))
        self.trace, self.last_call, self.calls = trace, last_call, 0

    def __call__(self, images):
        found = []
        for image in images:
            if self.calls >= self.last_call:
                os.kill(os.getpid(), signal.SIGKILL)
            self.calls += 1
            if self.trace is not None:
                with self.trace.open("a") as stream:
                    stream.write(f"{image.file}:{image.slice}\n")
            places = (np.argmax(image.image), np.argmin(image.image))
            points = np.array([np.unravel_index(place, image.image.shape)[::-1] for place in places]) + 0.5
            found.append(ImageLandmarks(points, np.ones(2), np.full(2, np.nan)))
        return found


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """60 files in two folders: pictures, one of three pages, and one that is broken."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(NUM_FILES - 2):
        target = folder / f"{number % 2}"
        target.mkdir(exist_ok=True)
        cv2.imwrite(str(target / f"{number:02d}.png"), rng.integers(0, 255, (12, 10), np.uint8))
    cv2.imwritemulti(str(folder / "1" / "pages.tif"), [rng.integers(0, 255, (9, 9), np.uint8)] * 3)
    (folder / "0" / "broken.png").write_bytes((folder / "0" / "00.png").read_bytes()[:60])
    return folder


def archive_of(images, output, count, **settings):
    predict = FilePredictor(BrightestPoint(), batch_size=1)
    settings = {"shards": count, "chunk_size": predict.chunk_size, **settings}
    archive = Archive(output, settings, {"checkpoint": "model.onnx"}, BrightestPoint().answers)
    archive.prepare(lambda found: list_files([images], found))
    return archive


def run_shard(images, output, index, count, trace=None, last_call=math.inf):
    """One shard from wherever it was; the last one merges."""
    archive = archive_of(images, output, count)
    archive.work(Shard(index, count), FilePredictor(BrightestPoint(trace, last_call), batch_size=1))
    if not archive.unfinished(count):
        archive.merge(count)


@pytest.fixture(scope="module")
def undisturbed(images, tmp_path_factory):
    """JSON and CSV of one shard that did everything."""
    output = tmp_path_factory.mktemp("undisturbed") / "out.json"
    run_shard(images, output, 1, 1)
    return output.read_bytes(), output.with_suffix(".csv").read_bytes()


def test_one_shard_is_inference_at_once(images, undisturbed):
    record = json.loads(undisturbed[0])
    files = sorted(path for path in images.rglob("*") if path.is_file())
    predict = FilePredictor(BrightestPoint(), batch_size=1)
    chunks = [files[start : start + predict.chunk_size] for start in range(0, NUM_FILES, predict.chunk_size)]
    found = [predict(chunk) for chunk in chunks]
    assert record["images"] == [image for part in found for image in part.images]
    assert record["failed"] == [failure for part in found for failure in part.failed]
    assert len(record["images"]) == NUM_FILES - 2 + 3
    assert [failure["file"] for failure in record["failed"]] == [str(images / "0" / "broken.png")]
    assert json.dumps(record, indent=1) + "\n" == undisturbed[0].decode()


@pytest.mark.parametrize("count", [2, 3, 20])
def test_any_number_of_shards_gives_the_same_bytes(images, undisturbed, tmp_path, count):
    """8 chunks on 2 and 3 shards, and on more shards than there are chunks; in any order."""
    output = tmp_path / "out.json"
    for index in np.random.default_rng(count).permutation(count) + 1:
        assert not output.exists()
        run_shard(images, output, int(index), count)
    assert (output.read_bytes(), output.with_suffix(".csv").read_bytes()) == undisturbed


def test_killed_shards_go_on_without_repeating_or_losing_an_image(images, undisturbed, tmp_path):
    output, trace = tmp_path / "out.json", tmp_path / "trace.txt"
    rng, kept, kills = np.random.default_rng(1), {}, 3
    for _ in range(kills):
        shards = [(images, output, index, 2, trace, int(rng.integers(1, 11))) for index in (1, 2)]
        running = [FORK.Process(target=run_shard, args=arguments) for arguments in shards]
        for process in running:
            process.start()
        for process in running:
            process.join()
        assert [process.exitcode for process in running] == [-signal.SIGKILL] * 2 and not output.exists()
        before = calls(trace)
        for image in recorded(output):
            kept.setdefault(image, before.count(image))  # calls up to when it was found on the disk
    assert kept
    for index in (1, 2):
        run_shard(images, output, index, 2, trace)
    assert (output.read_bytes(), output.with_suffix(".csv").read_bytes()) == undisturbed
    every = calls(trace)
    assert all(every.count(image) == before for image, before in kept.items())
    lost = 2 * kills * FilePredictor(BrightestPoint(), batch_size=1).chunk_size
    assert len(every) <= len(set(every)) + lost  # what was under way at a kill, and no more


def calls(trace):
    """FILE:SLICE of every image that was predicted, as often as it was."""
    return trace.read_text().splitlines() if trace.exists() else []


def recorded(output):
    """FILE:SLICE of every image whose line is whole."""
    for part in output.with_suffix(".parts").glob("shard-*.jsonl"):
        for line in read_lines(part):
            yield from (f"{image['file']}:{image['slice']}" for image in line.get("images", []))


def test_line_cut_anywhere_is_dropped_alone(tmp_path):
    file = tmp_path / "part.jsonl"
    with PartFile(file) as part:
        for number in range(3):
            part.append({"chunk": number})
    content = file.read_bytes()
    for length in range(len(content) + 1):
        file.write_bytes(content[:length])
        with PartFile(file) as part:
            assert part.num_lines == content[:length].count(b"\n")
            for number in range(part.num_lines, 3):
                part.append({"chunk": number})
        assert file.read_bytes() == content


def test_lines_are_appended_by_what_every_system_has(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pwrite")  # as on Windows
    for numbers in ((0, 1), (2,)):
        with PartFile(tmp_path / "x.jsonl") as part:
            for number in numbers:
                part.append({"chunk": number})
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert [json.loads(line)["chunk"] for line in lines] == [0, 1, 2]


def test_full_disk_is_named_and_the_shard_goes_on(images, undisturbed, tmp_path):
    output = tmp_path / "out.json"

    def without_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
        try:
            run_shard(images, output, 1, 1)
        except WriteError as error:
            os._exit(7 if "shard-001-of-001.jsonl: cannot be written (File too large)" in str(error) else 8)

    archive_of(images, output, 1)
    process = FORK.Process(target=without_room)
    process.start()
    process.join()
    assert process.exitcode == 7
    part = output.with_suffix(".parts").joinpath("shard-001-of-001.jsonl").read_bytes()
    assert 3000 < len(part) <= 6000 and part.endswith(b"\n")  # what had no room is not half there
    run_shard(images, output, 1, 1)
    assert output.read_bytes() == undisturbed[0]


def test_failed_file_is_read_again_on_demand_only(images, undisturbed, tmp_path):
    mended, output = tmp_path / "images", tmp_path / "out.json"
    shutil.copytree(images, mended)
    for index in (1, 2):
        run_shard(mended, output, index, 2)
    before = output.read_bytes()
    shutil.copy(mended / "0" / "00.png", mended / "0" / "broken.png")
    for index in (1, 2):
        run_shard(mended, output, index, 2)
    assert output.read_bytes() == before
    archive = archive_of(mended, output, 2)
    for index in (1, 2):
        archive.retry_failed(Shard(index, 2), FilePredictor(BrightestPoint(), batch_size=1))
    assert archive.merge(2) == (NUM_FILES - 2 + 3 + 1, 0)
    files = [image["file"] for image in json.loads(output.read_text())["images"]]
    assert str(mended / "0" / "broken.png") in files and files == sorted(files)


def test_a_setting_that_is_no_more_is_named(images, tmp_path):
    archive_of(images / "1", tmp_path / "out.json", 2, older=True)
    with pytest.raises(ValueError, match="begun with older True, now None"):
        archive_of(images / "1", tmp_path / "out.json", 2)


def test_other_settings_are_refused_and_later_files_wait(images, tmp_path):
    mine, output = tmp_path / "images", tmp_path / "out.json"
    shutil.copytree(images / "1", mine)
    archive_of(mine, output, 2, checkpoint_sha256="one")
    with pytest.raises(ValueError, match="begun with checkpoint_sha256 'one', now 'two'"):
        archive_of(mine, output, 2, checkpoint_sha256="two")
    with pytest.raises(ValueError, match="begun with shards 2, now 3"):
        archive_of(mine, output, 3, checkpoint_sha256="one")
    shutil.copy(images / "0" / "00.png", mine / "later.png")
    archive = archive_of(mine, output, 2, checkpoint_sha256="one")
    for index in (1, 2):
        archive.work(Shard(index, 2), FilePredictor(BrightestPoint(), batch_size=1))
    assert archive.merge(2) == (29 + 3, 0)  # the list was made at the start


def test_two_processes_cannot_do_one_shard(tmp_path):
    with PartFile(tmp_path / "part.jsonl"), pytest.raises(ValueError, match="another process is at work"):
        PartFile(tmp_path / "part.jsonl")


def test_merge_refuses_a_part_that_lacks_a_chunk(images, tmp_path):
    output = tmp_path / "out.json"
    run_shard(images, output, 1, 1)
    output.unlink()
    part = output.with_suffix(".parts") / "shard-001-of-001.jsonl"
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(ValueError, match=r"shard-001-of-001\.jsonl: lacks chunk 2"):
        archive_of(images, output, 1).merge(1)
    assert not output.exists()


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/1000"])
def test_impossible_shard_is_refused(text):
    with pytest.raises(ValueError, match="expected I/N"):
        Shard.parse(text)


def test_shard_of_a_launcher():
    assert Shard.parse("3/7") == Shard(3, 7)
    assert Shard.of_launcher({"RANK": "2", "WORLD_SIZE": "7"}) == Shard(3, 7)
    assert Shard.of_launcher({}) is None and Shard.of_launcher({"RANK": "0", "WORLD_SIZE": "1"}) is None

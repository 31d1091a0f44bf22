"""inference.py as a user runs it, on a model whose predictions are known; and the model's side of it."""

import csv
import hashlib
import json
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from datasets.files.image_files import SourceImage
from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.meaning import LandmarkMeaning
from tasks.landmarks import LandmarkTask
from tests.support import forked
from tests.support.mean_shape_model import SCALE, MeanShapeModel, write_mean_shape_checkpoint
from tests.support.run_script import run as run_script
from tests.support.run_script import run_trusting
from util.checkpoints.checkpoint import LoadedModel
from util.prediction.landmarks.landmark_files import image_record
from util.prediction.landmarks.looks import Looks
from util.prediction.landmarks.predict import LandmarkPredictor
from util.prediction.part_file import PartFile
from util.prediction.predictor import pick_device, stream

FORK = multiprocessing.get_context("fork")
CANVAS = (128, 96)  # (height, width)
SET = LandmarkSet("own", ("first", "second"), ("F", "S"), note="second is inferred")
SHAPE = torch.tensor([[0.25, 0.5], [0.75, 0.125]])


def run(*arguments: str | Path | float) -> subprocess.CompletedProcess[str]:
    return run_trusting("inference.py", *arguments)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return write_mean_shape_checkpoint(folder / "best.pt", SHAPE, SET, size=CANVAS, folder=folder)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders with a picture of one name each, a TIFF of two pages, and a file that is no image."""
    folder = tmp_path_factory.mktemp("images")
    picture = np.random.default_rng(0).integers(0, 255, (256, 192), np.uint8)
    for name in ("a", "b"):
        (folder / name).mkdir()
        cv2.imwrite(str(folder / name / "x.png"), picture)
    cv2.imwritemulti(str(folder / "pages.tiff"), [picture, picture[:192]])
    (folder / "broken.png").write_bytes((folder / "a" / "x.png").read_bytes()[:200])
    return folder


@pytest.fixture(scope="module")
def inferred(
    checkpoint: Path, images: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder that a run without spacing has filled, and how the run ended."""
    folder = tmp_path_factory.mktemp("out")
    outputs = ("--output", folder / "landmarks.json", "--show-dir", folder / "show")
    return folder, run("--checkpoint", checkpoint, "--input", images, *outputs, "--batch-size", 3)


def test_one_bad_file_is_named_and_the_rest_go_on(inferred, images: Path):
    folder, done = inferred
    record = json.loads((folder / "landmarks.json").read_text())
    assert done.returncode == 1
    assert "broken.png" in done.stderr and "Traceback" not in done.stderr
    assert [failure["file"] for failure in record["failed"]] == [str(images / "broken.png")]
    assert "broken.png" in record["failed"][0]["error"]
    found = [(Path(one["file"]).relative_to(images).as_posix(), one["slice"]) for one in record["images"]]
    assert found == [("a/x.png", None), ("b/x.png", None), ("pages.tiff", 1), ("pages.tiff", 2)]


def test_landmarks_are_source_pixels_in_index_coordinates(inferred, checkpoint):
    record = json.loads((inferred[0] / "landmarks.json").read_text())
    assert record["model"]["checkpoint_sha256"] == [hashlib.sha256(checkpoint.read_bytes()).hexdigest()]
    assert set(record) == {"model", "left_out", "images", "failed"}
    assert record["model"]["test_time"] is None
    first = record["images"][0]
    assert (first["width"], first["height"], first["spacing_mm"]) == (192, 256, None)
    one, two = first["landmarks"]
    assert (one["index"], one["name"], two["index"], two["name"]) == (1, "first", 2, "second")
    # the canvas is half of the image: 0.25 * 96 * 2 and 0.5 * 128 * 2, less half a pixel
    assert (one["x"], one["y"]) == pytest.approx((47.5, 127.5), abs=1e-3)
    assert (two["x"], two["y"]) == pytest.approx((143.5, 31.5), abs=1e-3)
    assert one["uncertainty_mm"] is None and one["x_mm"] is None
    assert one["uncertainty_px"] == pytest.approx(math.sqrt(2 * (1.92**2 + 2.56**2)), rel=1e-3)


def test_the_csv_has_a_row_a_landmark_with_the_same_values(inferred):
    record = json.loads((inferred[0] / "landmarks.json").read_text())
    with (inferred[0] / "landmarks.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    expected = [(image, landmark) for image in record["images"] for landmark in image["landmarks"]]
    assert len(rows) == len(expected) == 8
    for row, (image, landmark) in zip(rows, expected, strict=True):
        assert row["file"] == image["file"] and row["slice"] == str(image["slice"] or "")
        assert row["name"] == landmark["name"] and row["uncertainty_mm"] == ""
        assert (float(row["x"]), float(row["y"])) == (landmark["x"], landmark["y"])


def test_every_image_gets_its_own_overlay(inferred):
    files = sorted(file.name for file in (inferred[0] / "show").iterdir())
    assert files == ["pages_slice0001.png", "pages_slice0002.png", "x.png", "x_2.png"]
    assert cv2.imread(str(inferred[0] / "show" / "pages_slice0002.png")).shape == (192, 192, 3)


def test_a_given_spacing_brings_millimetres(checkpoint: Path, images: Path, tmp_path: Path):
    output = ("--output", tmp_path / "o.json", "--spacing", 0.5, 0.25)
    done = run("--checkpoint", checkpoint, "--input", images / "a", *output)
    assert done.returncode == 0, done.stderr
    (image,) = json.loads((tmp_path / "o.json").read_text())["images"]
    one = image["landmarks"][0]
    assert image["spacing_mm"] == [0.5, 0.25]
    assert (one["x_mm"], one["y_mm"]) == pytest.approx((47.5 * 0.5, 127.5 * 0.25), abs=1e-3)
    assert one["uncertainty_mm"] == pytest.approx(one["uncertainty_px"] * math.sqrt(0.5 * 0.25), rel=1e-3)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["o.csv", "o.json"]


def test_several_checkpoints_and_looks_are_combined_and_named(checkpoint: Path, images: Path, tmp_path: Path):
    """On whole images the ensemble is the mean of both shapes; the other looks are as put together here."""
    members = [predictor(), predictor(SHAPE + 0.1)]
    other = tmp_path / "other.pt"
    write_mean_shape_checkpoint(other, SHAPE + 0.1, SET, size=CANVAS, folder=tmp_path)
    options = ("--scales", 0.9, 1, "--crop", "--output", tmp_path / "o.json")
    done = run("--checkpoint", checkpoint, other, "--input", images / "a", *options)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "o.json").read_text())
    files = (checkpoint, other)
    assert record["model"]["checkpoint"] == str(checkpoint)
    assert record["model"]["test_time"] == {
        "checkpoints": list(map(str, files)),
        "scales": [0.9, 1.0],
        "crop": True,
    }
    image = source(192, 256)
    (expected,) = Looks(files, (0.9, 1.0), crop=True).predictor(members)([image])
    found = [(landmark["x"] + 0.5, landmark["y"] + 0.5) for landmark in record["images"][0]["landmarks"]]
    np.testing.assert_allclose(found, expected.points, atol=1e-3)
    (whole,) = Looks(files).predictor(members)([image])
    np.testing.assert_allclose(whole.points, (SHAPE + 0.05).numpy() * (192, 256), atol=1e-3)


def test_shards_merge_to_what_one_process_writes(
    inferred, checkpoint: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One shard as given, one as a launcher's rank, at once; the last one merges and reports the failure."""
    script = ["inference.py", "--checkpoint", str(checkpoint), "--input", str(images), "--batch-size", "3"]
    script += ["--output", str(tmp_path / "o.json")]
    logs = [tmp_path / "given.txt", tmp_path / "launched.txt"]
    running = [forked.start(run_script, [*script, "--shard", "1/2"], log=logs[0])]
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    running.append(forked.start(run_script, script, log=logs[1]))
    codes, printed = [forked.finish(process) for process in running], "".join(log.read_text() for log in logs)
    assert max(codes) == 1 and "Traceback" not in printed, printed
    assert (tmp_path / "o.json").read_bytes() == (inferred[0] / "landmarks.json").read_bytes()
    assert (tmp_path / "o.csv").read_bytes() == (inferred[0] / "landmarks.csv").read_bytes()
    parts = sorted(file.name for file in (tmp_path / "o.parts").glob("*.jsonl"))
    assert parts == ["archive.jsonl", "shard-001-of-002.jsonl", "shard-002-of-002.jsonl"]


def run_to_second_chunk(*arguments: str | Path | float) -> None:
    """SIGKILL ends the process when its second chunk is drawn and is to be written down."""
    append = PartFile.append

    def append_one(part: PartFile, record: Mapping[str, Any]) -> None:
        if part.num_lines == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        append(part, record)

    PartFile.append = append_one
    run_script(["inference.py", *map(str, arguments)])


def test_a_killed_run_goes_on_where_it_was(checkpoint: Path, images: Path, tmp_path: Path):
    """20 pictures of one name in chunks of 8: the second process keeps what the first has found and drawn."""
    for number in range(20):
        shutil.copytree(images / "a", tmp_path / "images" / f"{number:02d}")
    arguments = ("--checkpoint", checkpoint, "--input", tmp_path / "images", "--batch-size", 1)
    arguments += ("--output", tmp_path / "o.json", "--show-dir", tmp_path / "show")
    killed = FORK.Process(target=run_to_second_chunk, args=arguments)
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL and not (tmp_path / "o.json").exists()
    first = tmp_path / "show" / "x.png"
    drawn = first.stat().st_mtime_ns

    other = run(*arguments, "--spacing", 0.5)
    assert other.returncode == 2 and "o.parts: begun with spacing None, now [0.5]" in other.stderr
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "o.parts: goes on, 8 of 20 files were done before." in done.stdout
    record = json.loads((tmp_path / "o.json").read_text())
    names = [Path(image["file"]).parent.name for image in record["images"]]
    assert names == [f"{number:02d}" for number in range(20)]
    assert len(list((tmp_path / "show").iterdir())) == 20 and first.stat().st_mtime_ns == drawn
    assert not (tmp_path / "o.parts").exists()


def test_what_fails_at_the_start_leaves_nothing(checkpoint: Path, images: Path, tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run("--checkpoint", checkpoint, "--input", empty, "--output", tmp_path / "out" / "o.json")
    assert done.returncode == 2 and "no image among" in done.stderr
    broken = write_mean_shape_checkpoint(
        tmp_path / "nan.pt", SHAPE * math.nan, SET, size=CANVAS, folder=tmp_path
    )
    done = run("--checkpoint", broken, "--input", images / "a", "--output", tmp_path / "out" / "o.json")
    assert done.returncode == 2 and "the prediction is not finite" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shard", "3/2", "--output", "o.json"), "expected I/N"),
        (("--spacing", "0", "--output", "o.json"), "--spacing: 0.0, expected a number above 0"),
        (("--spacing", "inf", "--output", "o.json"), "--spacing: inf, expected a number above 0"),
        (("--batch-size", "0", "--output", "o.json"), "--batch-size: 0, expected a number above 0"),
        (("--output", "o.json", "--checkpoint", "pyproject.toml"), "not a checkpoint"),
        (("--output", "o.json", "--scales", "0.9", "0"), "expected distinct numbers from 0.5 to 2.0"),
    ],
)
def test_bad_arguments_end_with_two(checkpoint: Path, images: Path, arguments: tuple[str, ...], message: str):
    done = run("--checkpoint", checkpoint, "--input", images / "a", *arguments)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr


def predictor(shape: torch.Tensor = SHAPE) -> LandmarkPredictor:
    model = MeanShapeModel(2)
    model.load_state_dict({"mean_shape": shape})
    config = OmegaConf.create(
        {"eval_transforms": {"_target_": "transforms.augment:EvalTransforms", "size": list(CANVAS)}}
    )
    meaning = LandmarkMeaning(SET, "mean")
    return LandmarkPredictor(LoadedModel(model, LandmarkTask(), meaning, config, {}, Path("best.pt")))


def source(width: int, height: int, spacing: float = np.nan) -> SourceImage:
    return SourceImage(np.zeros((height, width), np.uint8), np.full(2, spacing), Path("x.png"), None)


def test_predictions_leave_the_letterbox_whatever_the_shape():
    wide, tall = predictor()([source(192, 128), source(30, 200, spacing=0.1)])
    on_canvas = SHAPE.numpy() * (96, 128)
    # 192x128 is halved to 96x64, 32 px of border above it; 30x200 becomes 19.2x128, 38.4 px to the left
    np.testing.assert_allclose(wide.points, (on_canvas - (0, 32)) * 2, atol=1e-4)
    np.testing.assert_allclose(tall.points, (on_canvas - (38.4, 0)) * 200 / 128, atol=1e-4)
    assert np.isnan(wide.uncertainty_mm).all()
    np.testing.assert_allclose(tall.uncertainty_mm, tall.uncertainty_px * 0.1, rtol=1e-5)
    expected = SCALE * math.hypot(96, 128) * math.sqrt(2.0)
    np.testing.assert_allclose(wide.uncertainty_px, expected * 2, rtol=1e-5)


def test_stream_holds_one_batch_of_images_at_a_time():
    asked = 0

    def images():
        nonlocal asked
        for _ in range(10):
            asked += 1
            yield source(48, 64)

    found = stream(predictor(), images(), batch_size=4)
    next(found)
    assert asked == 4
    assert len(list(found)) == 9


def test_a_model_gone_to_nan_is_an_error_that_names_the_image():
    broken = predictor()
    broken._model.mean_shape.fill_(math.nan)
    with pytest.raises(ValueError, match=r"x\.png: the prediction is not finite"):
        broken([source(48, 64)])


def test_a_record_of_unknown_spacing_is_strict_json():
    image = source(48, 64)
    record = image_record(image, predictor()([image])[0], SET)
    assert json.loads(json.dumps(record, allow_nan=False))["spacing_mm"] is None


def test_a_device_that_is_not_there_is_refused():
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="this machine has"):
        pick_device("cuda:99")
    with pytest.raises(ValueError, match="is unknown"):
        pick_device("gpu")
    for name in ("mps", "meta"):
        with pytest.raises(ValueError, match=f"device '{name}' is not supported, expected auto, cpu, cuda"):
            pick_device(name)

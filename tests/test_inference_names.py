"""Names that are no text, consoles that know few letters, folders that hold more than images."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from datasets.landmarks.landmark_set import LandmarkSet
from tests.support.mean_shape_model import write_mean_shape_checkpoint
from tests.support.xray_files import picture, write_dicom
from util.files import printable

ROOT = Path(__file__).parent.parent
SET = LandmarkSet("own", ("first",), ("F",))
KOREAN, BROKEN = "환자 1.png", "broken 환자.png"
NAMES = {"IM1", KOREAN, "ȯ\\xc0\\xda.png"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return write_mean_shape_checkpoint(
        folder / "best.pt", torch.tensor([[0.25, 0.5]]), SET, size=(64, 64), folder=folder
    )


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(picture()).save(folder / "a.png")
    Image.fromarray(picture()).save(folder / KOREAN)
    os.rename(folder / "a.png", os.fsencode(folder) + b"/\xc8\xaf\xc0\xda.png")
    write_dicom(folder / "IM1", picture(), bits=8, ImagerPixelSpacing=[0.2, 0.2])
    (folder / BROKEN).write_bytes(b"nothing")
    (folder / "notes.txt").write_text("hello")
    (folder / "v.nii").write_bytes(bytes(400))
    return folder


def run(checkpoint, images, output, *arguments):
    command = [sys.executable, "-m", "tests.support.run_script", "inference.py", "--checkpoint", checkpoint]
    command += ["--input", images, "--output", output, *arguments]
    narrow = os.environ | {"PYTHONIOENCODING": "cp1252"}
    return subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, env=narrow, check=False, encoding="cp1252"
    )


def test_any_name_is_written_and_any_console_will_do(checkpoint, images, tmp_path):
    output = tmp_path / "결과" / "landmarks.json"
    done = run(checkpoint, images, output, "--show-dir", tmp_path / "show")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    record = json.loads(output.read_text(encoding="utf-8"))
    assert names_in(record["images"]) == NAMES
    assert names_in(record["failed"]) == {BROKEN}
    with output.with_suffix(".csv").open(newline="", encoding="utf-8") as stream:
        assert names_in(csv.DictReader(stream)) == NAMES
    assert len(list((tmp_path / "show").iterdir())) == 3
    assert "2 files left out: 1 .nii, 1 .txt" in done.stdout
    assert record["left_out"] == {".nii": 1, ".txt": 1}
    sources = {Path(image["file"]).suffix: image["spacing_source"] for image in record["images"]}
    assert sources == {"": "ImagerPixelSpacing", ".png": "none"}


def test_shards_merge_any_name_and_other_files_change_no_exit_code(checkpoint, images, tmp_path):
    (images / BROKEN).unlink()
    for shard in ("1/2", "2/2"):
        done = run(checkpoint, images, tmp_path / "결과.json", "--shard", shard, "--spacing", 0.5)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    record = json.loads((tmp_path / "결과.json").read_text(encoding="utf-8"))
    assert names_in(record["images"]) == NAMES
    assert {image["spacing_source"] for image in record["images"]} == {"--spacing"}
    assert record["left_out"] == {".nii": 1, ".txt": 1}


def names_in(rows):
    return {Path(row["file"]).name for row in rows}


def test_printable_names():
    assert printable(os.fsdecode(b"a\xc8.png")) == "a\\xc8.png"
    assert printable("환자.png") == "환자.png" and printable(Path("x")) == "x"

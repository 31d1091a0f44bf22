"""tools/pytorch2onnx.py as a user runs it, and inference.py on what it writes."""

import csv
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.conftest import TINY_SET
from tests.support import forked, run_script
from tests.support.centroid_model import write_centroid_checkpoint
from util.export.landmarks.onnx_model import load_graph

ROOT = Path(__file__).parent.parent
DOCS = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
SIZE = (96, 64)  # (height, width)
WITHOUT_TORCH = """
import runpy, sys
sys.modules["torch"] = None  # whoever imports it fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
CONFIG = """
from tests.support.centroid_model import CentroidModel
from util.config import L

size = (64, 96)
model = L(CentroidModel)()
"""


def run(folder: Path, script: str, *arguments: str | Path) -> tuple[int, str]:
    """Exit code and everything printed by a script that may load models of the tests."""
    log = folder / "log.txt"
    process = forked.start(run_script.run, [script, *map(str, arguments)], log=log)
    code = forked.finish(process)
    return code, log.read_text(encoding="utf-8")


def export(folder: Path, *arguments: str | Path) -> tuple[int, str]:
    return run(folder, "tools/pytorch2onnx.py", *arguments)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny_prepared: Path) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return write_centroid_checkpoint(folder / "best.pt", TINY_SET, size=SIZE, folder=tiny_prepared)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> tuple[Path, str]:
    """The exported file, and what the export printed."""
    folder = tmp_path_factory.mktemp("export")
    code, printed = export(folder, "--checkpoint", checkpoint, "--output", folder / "m.onnx", "--dynamic")
    assert code == 0, printed
    return folder / "m.onnx", printed


def test_help_lists_what_the_model_can_be_exported_as(tmp_path: Path, checkpoint: Path) -> None:
    code, printed = export(tmp_path, "--checkpoint", checkpoint, "--help")
    assert code == 0, printed
    assert "--raw" in printed


def test_the_graph_is_verified_on_the_data_of_the_checkpoint(exported: tuple[Path, str]):
    assert "2 real and random images" in exported[1]  # the tiny data set has two test images
    assert sorted(file.name for file in exported[0].parent.iterdir()) == ["log.txt", "m.onnx"]


def test_a_folder_without_test_verifies_on_val_in_its_unit(tmp_path: Path, tiny_prepared: Path):
    header = json.loads((shutil.copytree(tiny_prepared, tmp_path / "data") / "dataset.json").read_text())
    del header["split"]["test"]
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(header | {"unit": "image height"}))
    checkpoint = write_centroid_checkpoint(
        tmp_path / "best.pt", TINY_SET, size=SIZE, folder=tmp_path / "data"
    )
    code, printed = export(tmp_path, "--checkpoint", checkpoint, "--output", tmp_path / "m.onnx")
    assert code == 0 and "1 real and random images" in printed, printed
    assert "% of the image height (1 images)" in printed and " mm" not in printed


def test_the_file_says_what_it_is(exported: tuple[Path, str], checkpoint: Path):
    metadata = load_graph(exported[0]).metadata
    assert metadata.landmark_set == TINY_SET
    assert (metadata.labels, metadata.size, metadata.precision, metadata.raw) == (
        "synthetic",
        SIZE,
        "fp32",
        False,
    )
    assert (metadata.mean, metadata.std, metadata.checkpoint) == (0.4, 0.3, str(checkpoint))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, size in (("wide", (120, 300)), ("tall", (310, 90)), ("small", (40, 40))):
        cv2.imwrite(str(folder / f"{name}.png"), rng.integers(0, 255, size, np.uint8))
    return folder


def test_inference_needs_no_torch_and_gives_the_same(
    exported: tuple[Path, str], checkpoint: Path, images: Path, tmp_path: Path
):
    code, printed = run(
        tmp_path,
        "inference.py",
        "--checkpoint",
        checkpoint,
        "--input",
        images,
        "--output",
        tmp_path / "pt.json",
    )
    assert code == 0, printed
    drawn = tmp_path / "drawn"
    arguments = ("--checkpoint", exported[0], "--input", images, "--output", tmp_path / "onnx.json")
    arguments = (*arguments, "--show-dir", drawn)
    command = [sys.executable, "-c", WITHOUT_TORCH, "inference.py", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected, found = (json.loads((tmp_path / name).read_text()) for name in ("pt.json", "onnx.json"))
    which = {"checkpoint": "", "checkpoint_sha256": []}
    assert found["model"] | which == expected["model"] | which
    assert len(found["images"]) == len(list(drawn.glob("*.png"))) == 3
    for one, other in zip(found["images"], expected["images"], strict=True):
        assert one | {"landmarks": []} == other | {"landmarks": []}
        for landmark, wanted in zip(one["landmarks"], other["landmarks"], strict=True):
            assert landmark["name"] == wanted["name"]
            for key in ("x", "y", "uncertainty_px"):
                assert landmark[key] == pytest.approx(wanted[key], abs=1e-3)
    tables = [list(csv.DictReader((tmp_path / name).open())) for name in ("pt.csv", "onnx.csv")]
    assert [row["name"] for row in tables[0]] == [row["name"] for row in tables[1]]


def test_the_program_of_the_docs_finds_by_a_raw_graph_what_the_checkpoint_finds(
    checkpoint: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Within a hundredth of a pixel of the canvas: the graph's letterbox rounds no grey values."""
    code, printed = export(tmp_path, "--checkpoint", checkpoint, "--output", tmp_path / "raw.onnx", "--raw")
    assert code == 0, printed
    assert load_graph(tmp_path / "raw.onnx").metadata.raw
    (program,) = (part for part in re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL) if "raw.onnx" in part)
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    arguments = ("--checkpoint", checkpoint, "--input", images, "--output", tmp_path / "pt.json")
    code, printed = run(tmp_path, "inference.py", *arguments)
    assert code == 0, printed
    monkeypatch.chdir(tmp_path)
    for image in json.loads((tmp_path / "pt.json").read_text())["images"]:
        shutil.copy(image["file"], "xray.png")
        found = runpy.run_path("program.py")
        assert found["names"] == [landmark["name"] for landmark in image["landmarks"]]
        wanted = np.array([[landmark["x"], landmark["y"]] for landmark in image["landmarks"]])
        tolerance = 0.01 * max(image["width"] / SIZE[1], image["height"] / SIZE[0])
        np.testing.assert_allclose(found["points"] - 0.5, wanted, atol=tolerance)
        sure = [landmark["uncertainty_px"] for landmark in image["landmarks"]]
        np.testing.assert_allclose(found["uncertainty"], sure, rtol=1e-3)


def test_a_model_that_cannot_be_verified_leaves_no_file(checkpoint: Path, tmp_path: Path):
    """Weights that are not numbers: ONNX Runtime and PyTorch cannot agree on them."""
    content = torch.load(checkpoint, weights_only=True)
    content["weights"]["backbone.0.weight"].fill_(torch.nan)
    torch.save(content, tmp_path / "nan.pt")
    code, printed = export(tmp_path, "--checkpoint", tmp_path / "nan.pt", "--output", tmp_path / "m.onnx")
    assert code == 1
    assert "differ by nan px" in printed and "Traceback" not in printed
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log.txt", "nan.pt"]


def test_a_config_exports_with_random_weights(tmp_path: Path):
    (tmp_path / "model.py").write_text(CONFIG, encoding="utf-8")
    arguments = ("--model-config", tmp_path / "model.py", "--landmark-set", "isbi19")
    code, printed = export(tmp_path, *arguments, "--output", tmp_path / "new" / "m.onnx", "--fp16")
    assert code == 0, printed
    assert "fp16 is not compared without real images" in printed
    metadata = load_graph(tmp_path / "new" / "m.onnx").metadata
    assert (len(metadata.landmark_set), metadata.size) == (19, (64, 96))
    assert (metadata.precision, metadata.raw) == ("fp16", False)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--output", "m.pt"), 2, "expected a name that ends with .onnx"),
        (("--checkpoint", "none.pt"), 1, "checkpoint none.pt not found"),
        (("--output", "pyproject.toml/m.onnx"), 1, "is not a folder"),
        (("--opset", "7"), 1, "opset 7: expected 18 to"),
        (("--data", "docs"), 1, "no dataset.json"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_bad_input_is_named_and_nothing_is_written(
    checkpoint: Path, tmp_path: Path, arguments: tuple[str, str], code: int, message: str
):
    given = {"--checkpoint": checkpoint, "--output": tmp_path / "m.onnx"} | dict([arguments])
    found, printed = export(tmp_path, *(part for pair in given.items() for part in pair))
    assert found == code and message in printed and "Traceback" not in printed
    assert [file.name for file in tmp_path.iterdir()] == ["log.txt"]

"""Every command after the other, as a user runs them, on a handful of phantoms and the smallest config."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "configs/smoke.py"
NUM_TEST = 3

pytestmark = pytest.mark.slow


def run(script: str, *arguments: object) -> str:
    """What ``script`` prints; fails with what it says on error."""
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"},
        capture_output=True,
        text=True,
        timeout=300,  # a hang, not a slow machine
    )
    assert done.returncode == 0, f"{script}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline") / "phantom"
    counts = ("--train", 4, "--val", 2, "--test", NUM_TEST, "--size", 192, "--processes", 1)
    run("tools/prepare_phantom.py", "--output", folder, *counts)
    return folder


@pytest.fixture(scope="module")
def trained(phantoms: Path) -> Path:
    folder = phantoms.parent / "run"
    overrides = (f"data.folder={phantoms}", f"train.output_dir={folder}", "data.workers=0")
    run("main.py", "--config-file", CONFIG, *overrides)
    return folder


@pytest.fixture(scope="module")
def evaluated(trained: Path, phantoms: Path) -> Path:
    """The folder with what test.py and inference.py wrote about the same test images."""
    folder, checkpoint = phantoms.parent / "results", trained / "best.pt"
    outputs = ("--json", folder / "test.json", "--report", folder / "r.html", "--show-dir", folder / "show")
    run("test.py", "--checkpoint", checkpoint, "--workers", 0, *outputs)
    images = [phantoms / "images" / f"{case}.png" for case in read(folder / "test.json")["cases"]]
    run("inference.py", "--checkpoint", checkpoint, "--output", folder / "found.json", "--input", *images)
    return folder


def test_training_leaves_a_whole_run_folder(trained: Path) -> None:
    assert {"config.yaml", "environment.json", "metrics.jsonl", "last.pt", "best.pt", "tensorboard"} <= {
        entry.name for entry in trained.iterdir()
    }
    logged = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in logged if "loss" in line]
    assert losses and all(np.isfinite(losses))
    assert any("val/mre_mm" in line for line in logged)


def test_evaluation_covers_the_test_split(evaluated: Path) -> None:
    results = read(evaluated / "test.json")
    assert (results["num_images"], results["num_landmarks"]) == (NUM_TEST, 38)
    assert 0.0 < results["mre_mm"] < 300.0
    assert len(list((evaluated / "show").iterdir())) == NUM_TEST
    assert (evaluated / "r.html").stat().st_size > 10_000


def test_inference_finds_what_evaluation_measured(evaluated: Path, phantoms: Path) -> None:
    """The errors in test.json follow from the points of inference.py and the published annotations."""
    results, found = read(evaluated / "test.json"), read(evaluated / "found.json")
    annotations = read(phantoms / "annotations" / "test.json")
    truth = {
        entry["image_id"]: np.reshape(entry["keypoints"], (-1, 3)) for entry in annotations["annotations"]
    }
    for image, case, errors in zip(found["images"], results["cases"], results["errors_mm"], strict=True):
        entry = next(entry for entry in annotations["images"] if entry["file_name"] == f"{case}.png")
        points = np.array([[landmark["x"], landmark["y"]] for landmark in image["landmarks"]])
        present = truth[entry["id"]][:, 2] > 0
        distances = np.hypot(*((points - truth[entry["id"]][:, :2]) * entry["spacing"]).T)
        np.testing.assert_allclose(np.array(errors, float)[present], distances[present], atol=0.01)
        assert [error is None for error in errors] == (~present).tolist()


def test_the_data_pipeline_is_measured(phantoms: Path) -> None:
    output = phantoms.parent / "benchmarks"
    run(
        "tools/benchmark_data.py",
        *("--data", phantoms, "--config-file", CONFIG, "--workers", 1, "--seconds", 0.5, "--images", 3),
        *("--json", output / "data.json"),
    )
    data = read(output / "data.json")
    assert data["images_per_second"] > 0 and set(data["steps_ms"]) == {"decode", "transforms", "collate"}

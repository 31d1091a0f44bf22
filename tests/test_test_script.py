"""test.py as a user runs it, on a model whose predictions are known."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.prepared import PreparedDataset
from tests.support.centroid_model import write_centroid_checkpoint
from tests.support.mean_shape_model import SCALE, write_mean_shape_checkpoint
from tests.support.run_script import TRUSTED, run_trusting
from util.checkpoints.checkpoint import load_model
from util.evaluation.landmarks.evaluate_predictor import evaluate_predictor
from util.evaluation.landmarks.metrics import json_ready
from util.prediction.landmarks.looks import Looks
from util.prediction.landmarks.predict import LandmarkPredictor

ROOT = Path(__file__).parent.parent
CANVAS = (192, 160)  # (height, width): twice the tiny data's images, so the letterbox has no border
SHAPE = np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.5, 0.7], [0.5, 0.9]])


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_trusting("test.py", *arguments)


def checkpoint_for(data: Path, file: Path) -> Path:
    dataset = PreparedDataset(data, "train")
    return write_mean_shape_checkpoint(
        file, torch.tensor(SHAPE), dataset.landmark_set, size=CANVAS, folder=data
    )


@pytest.fixture(scope="module")
def evaluated(tiny_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that one run on the split with a missing landmark has filled, and what it printed."""
    folder = tmp_path_factory.mktemp("evaluation")
    outputs = (
        "--json",
        folder / "numbers.json",
        "--show-dir",
        folder / "show",
        "--report",
        folder / "r.html",
    )
    checkpoint = checkpoint_for(tiny_prepared, folder / "best.pt")
    done = run(
        "--checkpoint", checkpoint, "--subset", "train", *outputs, "--workers", "0", "--batch-size", "2"
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_numbers_are_those_of_the_known_predictions(evaluated: tuple[Path, str], tiny_prepared: Path):
    record = json.loads((evaluated[0] / "numbers.json").read_text())
    dataset = PreparedDataset(tiny_prepared, "train")
    truth = np.stack([dataset.load(index).points for index in range(len(dataset))])
    expected = np.hypot(*(SHAPE * (80, 96) - truth).transpose(2, 0, 1)) * 0.5
    np.testing.assert_allclose(np.array(record["errors_mm"], float), expected, atol=1e-3)
    assert record["errors_mm"][record["cases"].index("tiny2")][3] is None
    assert record["mre_mm"] == pytest.approx(np.nanmean(expected), abs=1e-3)
    assert list(record["sdr_percent"]) == ["2.0", "2.5", "3.0", "4.0"]
    assert (record["num_images"], record["num_landmarks"], record["subset"]) == (3, 5, "train")
    assert record["test_time"] is None
    assert record["labels"] == "synthetic" and record["data"] == str(tiny_prepared)
    scale_mm = np.array([80, 96]) * SCALE * 0.5
    uncertainty = np.sqrt(2 * np.mean(scale_mm) ** 2 * 2)
    np.testing.assert_allclose(record["uncertainty_mm"], uncertainty, rtol=0.02)


def test_it_prints_a_table_and_writes_an_overlay_a_case_and_a_report(evaluated: tuple[Path, str]):
    folder, printed = evaluated
    assert "MRE" in printed and "5 chin" in printed and "'synthetic' labels" in printed
    assert sorted(file.name for file in (folder / "show").iterdir()) == [
        "tiny1.png",
        "tiny2.png",
        "tiny3.png",
    ]
    drawn = cv2.imread(str(folder / "show" / "tiny1.png"))
    assert drawn.shape == (96, 80, 3)
    assert (drawn[..., 1] > drawn[..., 2] + 100).any() and (drawn[..., 2] > drawn[..., 1] + 100).any()
    assert "synthetic labels" in (folder / "r.html").read_text(encoding="utf-8")
    assert sorted(file.name for file in folder.iterdir()) == ["best.pt", "numbers.json", "r.html", "show"]


def test_x_rays_that_train_or_val_has_too_are_told_apart(
    evaluated: tuple[Path, str], tiny_prepared: Path, tmp_path: Path
):
    data = tmp_path / "data"
    shutil.copytree(tiny_prepared, data)
    header = json.loads((data / "dataset.json").read_text())
    for pairs, said in (
        ([["tiny4", "tiny2"]], "1 of these X-rays are in train or val too; without them: MRE "),
        ([["tiny4", f"tiny{number}"] for number in (1, 2, 3)], "nothing is left that was not seen before"),
    ):
        (data / "dataset.json").write_text(json.dumps(header | {"repeats": pairs}))
        outputs = ("--json", tmp_path / "numbers.json", "--data", data, "--workers", "0")
        done = run("--checkpoint", evaluated[0] / "best.pt", "--subset", "train", *outputs)
        assert done.returncode == 0, done.stderr
        record = json.loads((tmp_path / "numbers.json").read_text())
        assert said in done.stdout and len(record["repeated"]) == len(pairs)
        if record["unrepeated"]:
            others = np.nanmean(np.array([record["errors_mm"][index] for index in (0, 2)], float))
            assert record["unrepeated"]["mre_mm"] == pytest.approx(others)
            assert f"{others:.3f} mm" in done.stdout


def test_an_ensemble_that_looks_more_than_once_is_evaluated_and_named(
    evaluated: tuple[Path, str], tiny_prepared: Path, tmp_path: Path
):
    """The mean shape and a model that sees; what the script wires up is what is put together here by hand."""
    dataset = PreparedDataset(tiny_prepared, "train")
    other = write_centroid_checkpoint(
        tmp_path / "other.pt", dataset.landmark_set, size=CANVAS, folder=tiny_prepared
    )
    files = (evaluated[0] / "best.pt", other)
    options = ("--subset", "train", "--scales", "0.9", "1", "--crop", "--batch-size", "2")
    outputs = ("--json", tmp_path / "numbers.json", "--report", tmp_path / "r.html")
    done = run("--checkpoint", *files, *options, *outputs)
    assert done.returncode == 0, done.stderr
    looks = Looks(files, (0.9, 1.0), crop=True)
    members = [LandmarkPredictor(load_model(file, packages=TRUSTED)) for file in files]
    samples = [dataset.load(index) for index in range(len(dataset))]
    expected = evaluate_predictor(looks.predictor(members), samples, batch_size=2)
    record = json.loads((tmp_path / "numbers.json").read_text())
    assert record["errors_mm"] == json_ready(expected.radial_mm)
    assert record["errors_mm"] != json.loads((evaluated[0] / "numbers.json").read_text())["errors_mm"]
    assert record["test_time"] == {"checkpoints": list(map(str, files)), "scales": [0.9, 1.0], "crop": True}
    assert f"test-time options: {looks}" in done.stdout
    assert str(looks) in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_checkpoint_given_twice_is_refused(evaluated: tuple[Path, str]):
    file = evaluated[0] / "best.pt"
    done = run("--checkpoint", file, file)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert f"{file}: given twice" in done.stderr


def test_a_checkpoint_of_other_landmarks_is_refused(tiny_prepared: Path, tmp_path: Path):
    other = LandmarkSet("other", ("a", "b", "c", "d", "e"), ("A", "B", "C", "D", "E"))
    shape = torch.tensor(SHAPE)
    file = write_mean_shape_checkpoint(tmp_path / "best.pt", shape, other, size=CANVAS, folder=tiny_prepared)
    done = run("--checkpoint", file, "--json", tmp_path / "out.json")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "'other'" in done.stderr and "'tiny5'" in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_a_truncated_image_is_named_and_nothing_is_written(tiny_prepared: Path, tmp_path: Path):
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    for file in [*tiny_prepared.glob("*.json"), *tiny_prepared.glob("*/*.*")]:
        target = data / file.relative_to(tiny_prepared)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(file.read_bytes())
    broken = data / "images" / "tiny6.png"
    broken.write_bytes(broken.read_bytes()[:300])
    checkpoint = checkpoint_for(tiny_prepared, tmp_path / "best.pt")
    done = run("--checkpoint", checkpoint, "--data", data, "--json", tmp_path / "out.json", "--workers", "0")
    assert done.returncode != 0 and str(broken) in done.stderr
    assert not (tmp_path / "out.json").exists()


@pytest.mark.slow
def test_two_processes_write_what_one_writes(
    evaluated: tuple[Path, str], tiny_prepared: Path, tmp_path: Path
):
    arguments = ("--checkpoint", evaluated[0] / "best.pt", "--subset", "train", "--workers", "0")
    done = run_two_processes(*arguments, "--batch-size", "2", "--json", tmp_path / "numbers.json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "numbers.json").read_text() == (evaluated[0] / "numbers.json").read_text()
    assert done.stdout.count("measured against") == 1


@pytest.mark.slow
def test_several_looks_are_not_shared_out(evaluated: tuple[Path, str], tmp_path: Path):
    done = run_two_processes(
        "--checkpoint", evaluated[0] / "best.pt", "--crop", "--json", tmp_path / "n.json"
    )
    assert done.returncode != 0 and "2 processes, expected one" in done.stderr
    assert not (tmp_path / "n.json").exists()


def run_two_processes(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m")
    script = (*launcher, "tests.support.run_script", "test.py")
    command = [sys.executable, *script, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

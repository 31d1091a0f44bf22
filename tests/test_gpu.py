"""What ``tools/check_gpu.py`` asks a GPU, asked of the CPU at a tiny size; the tool where there is one."""

import json
import subprocess
import sys

import pytest
import torch

from tests.support.run_tool import ROOT, run_tool
from util.benchmark import gpu
from util.checkpoints.checkpoint import load_model

CPU, SIZE = torch.device("cpu"), (96, 96)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with phantoms and a short training on them, and what the check says of it."""
    folder = tmp_path_factory.mktemp("gpu")
    counts = ("--train", 4, "--val", 2, "--test", 2, "--size", 128, "--processes", 1)
    gpu.script("tools/prepare_phantom.py", "--output", folder / "data", *counts)
    overrides = (f"data.folder={folder / 'data'}", "train.iterations=20", "train.eval_every=20")
    check = gpu.training("configs/smoke.py", "bf16", folder / "run", overrides)
    return folder, check


def test_a_training_is_judged_by_its_log(trained):
    folder, check = trained
    assert check.passed, check.answer
    assert check.numbers["last"] <= gpu.FALL * check.numbers["first"] and check.numbers["skipped"] == 0
    assert check.numbers["images_per_second"] > 0 and (folder / "run" / "best.pt").is_file()


def test_points_compiled_and_exported_agree_on_one_machine(trained):
    folder, _ = trained
    model = load_model(folder / "run" / "best.pt").model
    images = torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(0))
    same = gpu.same_points(model, images, CPU, "fp32")
    assert same.passed and same.numbers["max_px"] == 0.0
    half = gpu.same_points(model, images, CPU, "bf16")
    assert 0.0 < half.numbers["mean_px"] < half.numbers["max_px"]
    fast = gpu.compiled(model, images, CPU, backend="eager")
    assert fast.passed and fast.numbers["max_px"] == 0.0
    exported = gpu.onnx_runtime(folder / "run" / "best.pt", folder, images, "CPUExecutionProvider")
    assert exported.passed and exported.numbers["max_px"] == 0.0
    absent = gpu.onnx_runtime(folder / "run" / "best.pt", folder, images, "NoSuchProvider")
    assert absent.passed is None and "skipped" in absent.answer


def test_speed_and_the_table(trained):
    folder, check = trained
    model = load_model(folder / "run" / "best.pt").model
    rows = gpu.speed(model, SIZE, CPU, batch_sizes=(1,), repeats=1)
    assert [(row["precision"], row["batch_size"]) for row in rows] == [
        (p, 1) for p in ("fp32", "bf16", "fp16")
    ]
    assert all(row["images_per_second"] > 0 and row["peak_mib"] is None for row in rows)
    assert all(sum(row["shares"].values()) == pytest.approx(1.0) for row in rows)
    failed = gpu.answered("broken", lambda: json.loads("no"))
    assert failed.passed is False and "JSONDecodeError" in failed.answer
    lines = gpu.table([check, failed], rows).splitlines()
    assert lines[0].startswith("ok ") and lines[1].startswith("FAILED") and lines[-1].startswith("fp16")


def test_points_that_are_too_far_apart_fail():
    images, truth = torch.zeros(1, 1, *SIZE), torch.full((1, 5, 2), 0.5)
    near, far = truth + 0.04 / 96, truth + 0.2 / 96
    assert gpu._compared("x", near.double(), truth, images, 0.1).passed
    assert not gpu._compared("x", far.double(), truth, images, 0.1).passed
    assert not gpu._compared("x", truth * float("nan"), truth, images, 0.1).passed


def test_a_script_that_fails_is_said():
    with pytest.raises(RuntimeError, match=r"main.py .* ended with 2: .*absent.py not found"):
        gpu.script("main.py", "--config-file", "absent.py")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_tool_says_so(tmp_path):
    done = run_tool("tools/check_gpu.py", "--output", tmp_path / "out")
    assert done.returncode == 3 and "no GPU here" in done.stdout and not (tmp_path / "out").exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_everything_on_the_gpu(tmp_path):
    command = [sys.executable, "tools/check_gpu.py", "--output", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert record["seconds"] < 480

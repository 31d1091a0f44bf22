"""The container of the challenge, as far as no engine is needed. test_challenge.py runs process.py."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.landmarks.cl_predictions import write_predictions
from datasets.landmarks.landmark_set import load_landmark_set
from datasets.phantoms.stack import STACK, write_phantom_stack
from tests.support.mean_shape_model import write_mean_shape_checkpoint
from tests.support.run_script import run_trusting
from tests.support.run_tool import ROOT, run_tool

CONTAINER = ROOT / "container"
POINTS = {1: np.full((38, 2), 50.0), 2: np.full((38, 2), 60.0)}


def copied() -> list[str]:
    """The files and folders that the Dockerfile copies."""
    lines = (CONTAINER / "Dockerfile").read_text().splitlines()
    return [source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]]


def test_dockerfile_has_no_lint() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint is not installed: requirements-dev.txt has it")
    done = subprocess.run([hadolint, CONTAINER / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_what_is_copied_may_enter_the_build_context() -> None:
    patterns = [
        line for line in (ROOT / ".dockerignore").read_text().split("\n") if line[:1] not in ("", "#")
    ]
    assert patterns[0] == "*"
    allowed = {pattern.removeprefix("!") for pattern in patterns[1:] if pattern.startswith("!")}
    assert allowed == {source.split("/")[0] for source in copied()}
    assert all((ROOT / source).exists() for source in copied() if source != "container/weights")


def requirements(file: str) -> set[str]:
    lines = (ROOT / file).read_text().splitlines()
    return {line.partition("  #")[0] for line in lines if line[:1] not in ("", "#")}


def test_requirements_are_those_of_the_project() -> None:
    """Pinned as in the lock, those of the base image bounded as in the project: what was tested runs."""
    own = requirements("container/requirements.txt")
    pinned = {line for line in own if "==" in line}
    assert pinned and pinned <= requirements("requirements-lock.txt")
    assert own - pinned <= requirements("requirements.txt")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stack")
    write_phantom_stack(folder, 2, height=120)
    return folder / STACK


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_tool("container/process.py", *arguments)


def process_with_models_of_tests(*arguments: object) -> subprocess.CompletedProcess[str]:
    """For checkpoints of models that tests/support defines."""
    return run_trusting("container/process.py", *arguments)


@pytest.mark.parametrize("names", [[], ["a.mha", "b.mha"], ["a.png"]])
def test_process_needs_exactly_one_stack(tmp_path: Path, stack: Path, names: list[str]) -> None:
    folder, output = tmp_path / "input", tmp_path / "output"
    folder.mkdir()
    for name in names:
        os.link(stack, folder / name)
    done = process("--input", folder, "--output", output / "found.json")
    assert done.returncode == 1
    number = sum(name.endswith(".mha") for name in names)
    assert f"{folder}: {number} .mha files" in done.stderr and "expected one stack" in done.stderr
    assert not output.exists()


def test_process_says_when_no_weights_are_there(tmp_path: Path, stack: Path) -> None:
    done = process("--input", stack.parent, "--weights", tmp_path, "--output", tmp_path / "found.json")
    assert done.returncode == 1
    assert f"{tmp_path}: no .pt or .safetensors file" in done.stderr and "container/build.sh" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_process_loads_the_shipped_weights_beside_a_run(tmp_path: Path) -> None:
    """As container/build.sh stages and checks them."""
    shipped, run = ROOT / "weights/cephdetr38.safetensors", tmp_path / "shape/best.pt"
    run.parent.mkdir()
    landmarks = load_landmark_set("cl38")
    write_mean_shape_checkpoint(run, torch.full((38, 2), 0.5), landmarks, size=(96, 96), folder=tmp_path)
    staged = run_shell(CONTAINER / "stage_weights.sh", tmp_path / "weights", shipped, run)
    assert staged.returncode == 0, staged.stderr
    arguments = ("--check", "--weights", tmp_path / "weights", "--device", "cpu")
    done = process_with_models_of_tests(*arguments)
    assert done.returncode == 0, done.stderr
    assert "weights: 01_weights_cephdetr38.safetensors, 02_shape_best.pt" in done.stdout


def test_weights_that_lie_in_the_folder_itself_are_staged_and_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("a.pt", "b.safetensors", "old.pt"):
        (folder / name).write_text(name)
    staged = run_shell(CONTAINER / "stage_weights.sh", folder, folder / "b.safetensors", folder / "a.pt")
    assert staged.returncode == 0, staged.stderr
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "01_weights_b.safetensors": "b.safetensors",
        "02_weights_a.pt": "a.pt",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_process_writes_nothing_for_a_truncated_stack(tmp_path: Path, stack: Path) -> None:
    weights, folder, output = tmp_path / "weights", tmp_path / "input", tmp_path / "output"
    for path in (weights, folder):
        path.mkdir()
    size, landmarks = (96, 96), load_landmark_set("cl38")
    write_mean_shape_checkpoint(
        weights / "m.pt", torch.full((38, 2), 0.5), landmarks, size=size, folder=tmp_path
    )
    (folder / "short.mha").write_bytes(stack.read_bytes()[:-1000])
    arguments = ("--input", folder, "--weights", weights, "--output", output / "found.json")
    done = process_with_models_of_tests(*arguments)
    assert done.returncode == 1
    assert "short.mha" in done.stderr and "bytes, expected" in done.stderr
    assert not output.exists()


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker command that writes its calls to the file returned (tests/support/fake_docker.py)."""
    programs, log = tmp_path / "bin", tmp_path / "calls.jsonl"
    programs.mkdir()
    command = programs / "docker"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/support/fake_docker.py" "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_DOCKER_LOG", str(log))
    return log


def calls(log: Path) -> list[list[str]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize(("moved", "code"), [(0.0, 0), (0.009, 0), (0.011, 1)])
def test_test_sh_compares_within_a_hundredth_of_a_pixel(
    tmp_path: Path, stack: Path, docker: Path, monkeypatch: pytest.MonkeyPatch, moved: float, code: int
) -> None:
    expected, found = tmp_path / "expected.json", tmp_path / "found.json"
    write_predictions(expected, POINTS)
    write_predictions(found, {**POINTS, 2: POINTS[2] + (moved, 0.0)})
    monkeypatch.setenv("FAKE_DOCKER_PREDICTIONS", str(found))
    done = run_shell(CONTAINER / "test.sh", stack, expected)
    assert done.returncode == code, done.stderr
    assert f"the largest distance {moved:.4f} px" in done.stdout


def test_test_sh_runs_the_image_by_the_rules(
    tmp_path: Path, stack: Path, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tmp_path / "expected.json"
    write_predictions(expected, POINTS)
    monkeypatch.setenv("FAKE_DOCKER_PREDICTIONS", str(expected))
    assert run_shell(CONTAINER / "test.sh", stack, expected).returncode == 0
    runs = [" ".join(call) for call in calls(docker) if call[0] == "run"]
    assert len(runs) == 2
    for rule in (
        "--network none",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--memory 8g",
        "--shm-size 128m",
        "--pids-limit 256",
    ):
        assert rule in runs[0]
    assert "/input:/input:ro" in runs[0]


def test_test_sh_fails_when_the_image_fails_or_slices_are_missing(
    tmp_path: Path, stack: Path, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, found = tmp_path / "expected.json", tmp_path / "found.json"
    write_predictions(expected, POINTS)
    assert run_shell(CONTAINER / "test.sh", stack, expected).returncode != 0
    write_predictions(found, {1: POINTS[1]})
    monkeypatch.setenv("FAKE_DOCKER_PREDICTIONS", str(found))
    done = run_shell(CONTAINER / "test.sh", stack, expected)
    assert done.returncode != 0 and "1 slices, expected the 2" in done.stderr


def test_build_sh_stages_the_weights_in_order(tmp_path: Path, docker: Path) -> None:
    shutil.copytree(CONTAINER, tmp_path / "container", ignore=shutil.ignore_patterns("weights"))
    for run in ("second", "first"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "best.pt").write_text(run)
    checkpoints = [tmp_path / "second/best.pt", tmp_path / "first/best.pt"]
    done = run_shell(tmp_path / "container/build.sh", *checkpoints)
    assert done.returncode == 0, done.stderr
    weights = sorted((tmp_path / "container/weights").iterdir())
    assert [file.name for file in weights] == ["01_second_best.pt", "02_first_best.pt"]
    assert [file.read_text() for file in weights] == ["second", "first"]
    [build] = calls(docker)
    assert build[0] == "build" and build[-1] == str(tmp_path)  # the context is the root of the repository
    assert build[build.index("--file") + 1] == str(tmp_path / "container/Dockerfile")
    missing = run_shell(tmp_path / "container/build.sh", tmp_path / "third/best.pt")
    assert missing.returncode == 2 and "third/best.pt not found" in missing.stderr
    other = run_shell(tmp_path / "container/build.sh", CONTAINER / "Dockerfile")
    assert other.returncode == 2 and "expected a .pt or .safetensors file" in other.stderr
    assert len(calls(docker)) == 1 and len(list((tmp_path / "container/weights").iterdir())) == 2


def test_export_sh_writes_a_whole_file_or_none(
    tmp_path: Path, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "image.tar.gz"
    monkeypatch.setenv("IMAGE", "no-such-image")
    assert run_shell(CONTAINER / "export.sh", file).returncode != 0
    assert not list(tmp_path.glob("image*"))
    monkeypatch.setenv("IMAGE", "some-image")
    assert run_shell(CONTAINER / "export.sh", file).returncode == 0
    assert gzip.decompress(file.read_bytes()) == b"image"
    assert calls(docker)[-1] == ["save", "some-image"]


PROBE = """
id -u
awk '/^Max (processes|data size)/ {print $(NF - 1)}' /proc/self/limits
sed -n 's/ *\\(.*\\):.*/\\1/p' /proc/net/dev
awk '/^(CapEff|CapBnd|NoNewPrivs)/ {print $2}' /proc/self/status
for place in / /input /tmp /etc /usr /dev FOLDER; do
    touch "$place/x" 2>/dev/null && echo "could write $place"
done
touch /output/x /dev/shm/x && df --output=size /dev/shm | tail -1
"""


def test_confined_commands_can_write_the_output_and_nothing_else(tmp_path: Path) -> None:
    given, output, shown = tmp_path / "in", tmp_path / "out", tmp_path / "shown"
    for folder in (given, output, shown):
        folder.mkdir()
        folder.chmod(0o777)  # what keeps the command from writing is not the owner
    probe = PROBE.replace("FOLDER", str(shown))
    done = run_shell(CONTAINER / "run_confined.sh", given, output, shown, "--", "sh", "-c", probe)
    if done.returncode == 77:
        pytest.skip(f"this machine does not permit the confinement: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "65534",  # nobody
        str(8 << 30),  # bytes of memory
        "256",  # processes
        "lo",  # the only network interface, and it is down
        *("0" * 16, "0" * 16, "1"),  # capabilities: none now, none ever; no new privileges
        str(128 << 10),  # KiB of shared memory
    ]
    assert [file.name for file in output.iterdir()] == ["x"]


def run_shell(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([script, *map(str, arguments)], capture_output=True, text=True, timeout=300)

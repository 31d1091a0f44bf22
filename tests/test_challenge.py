"""The six steps of the challenge as one script, in small: phantoms, two iterations."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from datasets.phantoms.stack import ANNOTATIONS, STACK, write_phantom_stack
from tests.support.run_tool import ROOT, run_tool

SLICES = 4
SMALL = ("--slices", SLICES, "--height", 160, "--size", 160, "--iterations", 2, "--fold", "1/2")


def without_real_data(*arguments: object) -> subprocess.CompletedProcess[str]:
    """tools/run_challenge.py on phantoms, whatever data the machine has."""
    environment = {name: value for name, value in os.environ.items() if name != "CEPHDETR_REAL_DATA"}
    command = [sys.executable, "tools/run_challenge.py", *map(str, arguments)]
    environment |= {"NO_ALBUMENTATIONS_UPDATE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1500)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that the script filled, and what it printed."""
    if not (Path(sys.executable).parent / "uv").exists():
        pytest.skip("uv is not installed beside this Python: `make` installs it")
    out = tmp_path_factory.mktemp("challenge") / "out"
    done = without_real_data("--output", out, *SMALL)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return out, done.stdout


@pytest.mark.slow
def test_all_steps_give_what_they_promise(finished: tuple[Path, str]) -> None:
    out, printed = finished
    assert printed.count("\n== ") == 7  # the stack and six steps
    assert len(json.loads((out / "expected_output.json").read_text())["points"]) == SLICES * 38
    assert (out / "run_fold1of2/best.pt").is_file()
    assert json.loads((out / "test.json").read_text())["num_images"] == 1
    assert f"{SLICES * 38} points, sound." in printed


@pytest.mark.slow
def test_the_package_predicts_what_step_4_predicts(finished: tuple[Path, str]) -> None:
    """process.py alone in its environment, unprivileged, without network, nothing writable but its output."""
    _, printed = finished
    assert f"{SLICES * 38} points, the largest distance 0.00" in printed
    if "no Docker engine here" in printed and "not confined" in printed:
        pytest.skip(
            "process.py ran and agreed, but this machine does not permit its confinement (root, namespaces)"
        )


def test_a_damaged_stack_ends_the_path_at_the_first_step(tmp_path: Path) -> None:
    write_phantom_stack(tmp_path, 3, height=80)
    stack, out = tmp_path / STACK, tmp_path / "out"
    stack.write_bytes(stack.read_bytes()[:-100])
    given = ("--stack", stack, "--annotations", tmp_path / ANNOTATIONS)
    done = run_tool("tools/run_challenge.py", "--output", out, *given)
    assert done.returncode == 1
    assert "bytes, expected" in done.stderr
    assert "prepare_cl_detection2023.py failed with exit code 1" in done.stderr
    assert "== 2" not in done.stdout and not (out / "data").exists()


def test_refuses_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    done = run_tool("tools/run_challenge.py", "--output", tmp_path)
    assert done.returncode == 1 and "not empty" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]

"""``main.py`` as users start it: a process with a command line, a run folder and an exit code."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from util.checkpoints.checkpoint import load_checkpoint
from util.training.run_folder import config_beside

ROOT = Path(__file__).resolve().parents[1]


def start(prepared, output, *arguments, launcher=()):
    """A running ``main.py`` on the tiny model and data."""
    command = [
        *(launcher or (sys.executable,)),
        "main.py",
        *("--config-file", "tests/support/tiny_config.py"),
        *(f"data.folder={prepared}", f"train.output_dir={output}"),
        *arguments,
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    """(exit code, standard output, standard error)."""
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def weights(file):
    return load_checkpoint(file)["weights"]


def test_train_then_continue_from_the_middle(tiny_prepared, tmp_path):
    """The whole run folder; its second half again, in another folder, to the same bits; and by its config."""
    whole, again = tmp_path / "whole", tmp_path / "again"
    code, out, err = finish(start(tiny_prepared, whole, "data.workers=1", "--mixed-precision", "no"))
    assert code == 0, err
    assert "finished after 4 of 4 iterations" in out and str(whole / "best.pt") in out
    names = {"config.yaml", "environment.json", "metrics.jsonl", "last.pt", "best.pt", "tensorboard"}
    assert names <= {path.name for path in whole.iterdir()}
    assert json.loads((whole / "environment.json").read_text())["packages"]["torch"]
    middle = whole / "last.previous.pt"
    assert load_checkpoint(middle)["iteration"] == 3
    code, _, err = finish(start(tiny_prepared, again, "--resume-from-checkpoint", str(middle)))
    assert code == 0, err
    one, other = weights(whole / "last.pt"), weights(again / "last.pt")
    assert all(torch.equal(one[name], other[name]) for name in one)
    shape = one["mean_shape"]  # of the training set, not the 0.5 that the model starts with
    assert 0.2 < shape[0, 0] < 0.4 < shape[1, 0] < 0.8 and shape[4, 1] > 0.7
    assert config_beside(whole) == config_beside(middle) == whole / "config.yaml"
    assert config_beside(tmp_path) is None
    moved = whole.rename(tmp_path / "moved")  # goes on where it lies now
    command = [sys.executable, "main.py", "--resume-from-checkpoint", str(moved)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0 and "after 4 of 4 iterations" in done.stdout, done.stderr
    assert not whole.exists() and (moved / "environment.resumed-4.json").is_file()


def test_wrong_input_is_one_clear_line(tiny_prepared, tmp_path):
    used, damaged = tmp_path / "used", tmp_path / "damaged"
    used.mkdir()
    (used / "last.pt").touch()
    shutil.copytree(tiny_prepared, damaged)
    image = damaged / "images" / "tiny2.png"
    image.write_bytes(image.read_bytes()[:500])
    attempts = {
        "no key 'iteration'; did you mean 'iterations'": (tiny_prepared, tmp_path / "a", "train.iteration=3"),
        "already holds a run (last.pt)": (tiny_prepared, used),
        "--fold 1/2 and data.train=": (tiny_prepared, tmp_path / "f", "data.train=train:1", "--fold", "1/2"),
        "tiny2.png: not a whole PNG image (500 bytes)": (damaged, tmp_path / "b", "data.workers=1"),
    }
    running = {message: start(*attempt) for message, attempt in attempts.items()}
    for message, process in running.items():
        code, out, err = finish(process)
        lines = [line for line in err.splitlines() if line.startswith("main.py: ")]
        assert code == 2 and out == "", err
        assert len(lines) == 1 and message in lines[0] and "Traceback" not in err


def test_stopping_saves_and_diverging_names_the_cases(tiny_prepared, tmp_path):
    long, poisoned = tmp_path / "long", tmp_path / "poisoned"
    endless = (
        "train.iterations=1000000",
        "train.eval_every=1000000",
        "data.workers=1",
    )
    stopped = start(tiny_prepared, long, *endless)
    diverged = start(tiny_prepared, poisoned, "criterion.poison_at=0.7")
    code, _, err = finish(diverged)
    assert code == 1 and "iteration 3: the loss is not finite. Cases of the batch: tiny" in err
    assert load_checkpoint(poisoned / "last.pt")["iteration"] == 3
    assert (poisoned / "nan_state.pt").is_file()
    deadline = time.monotonic() + 120
    while not (long / "metrics.jsonl").is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    stopped.send_signal(signal.SIGTERM)
    code, out, err = finish(stopped)
    assert code == 0, err
    assert f"--resume-from-checkpoint {long}" in out and "Traceback" not in err
    assert load_checkpoint(long / "last.pt")["iteration"] >= 1


@pytest.mark.slow
def test_two_processes_train_one_model_and_evaluate_every_case_once(tiny_prepared, tmp_path):
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    together = start(tiny_prepared, tmp_path / "two", "data.val=train", launcher=launcher)
    code, out, err = finish(together)
    assert code == 0, err
    assert out.count("finished after") == 1
    checkpoint = load_checkpoint(tmp_path / "two" / "last.pt")
    assert checkpoint["metrics"]["num_images"] == 3
    lines = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines if "loss" in line] == [1, 2, 3, 4]

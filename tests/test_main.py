"""``main.py`` as users start it: a process with a command line, a run folder and an exit code."""

import json
import shutil
import time

import pytest
import torch

from tests.support import forked
from tests.support.run_tool import run_afresh, run_tool
from util.checkpoints.checkpoint import load_checkpoint
from util.training.run_folder import config_beside


def start(prepared, output, *arguments):
    """A running ``main.py`` on the tiny model and data, and the files beside ``output`` that it prints to."""
    arguments = [f"data.folder={prepared}", f"train.output_dir={output}", *arguments]
    out, err = (output.with_name(f"{output.name}.{name}") for name in ("out", "err"))
    return forked.start(forked.run_main, arguments, log=out, errors=err), out, err


def finish(running):
    """(exit code, standard output, standard error)."""
    process, out, err = running
    return forked.finish(process), out.read_text(), err.read_text()


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
    done = run_tool("main.py", "--resume-from-checkpoint", moved)
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
    stopped[0].terminate()
    code, out, err = finish(stopped)
    assert code == 0, err
    assert f"--resume-from-checkpoint {long}" in out and "Traceback" not in err
    assert load_checkpoint(long / "last.pt")["iteration"] >= 1


@pytest.mark.slow
def test_two_processes_train_one_model_and_evaluate_every_case_once(tiny_prepared, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    places = (f"data.folder={tiny_prepared}", f"train.output_dir={tmp_path / 'two'}", "data.val=train")
    done = run_afresh(*launcher, "main.py", "--config-file", "tests/support/tiny_config.py", *places)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished after") == 1
    checkpoint = load_checkpoint(tmp_path / "two" / "last.pt")
    assert checkpoint["metrics"]["num_images"] == 3
    lines = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines if "loss" in line] == [1, 2, 3, 4]

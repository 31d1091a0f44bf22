"""A training that is killed, stopped, out of disk or out of place goes on from its last whole checkpoint."""

import contextlib
import json
import shutil
import time

import psutil
import pytest
import torch

from tests.support.faults import (
    DiskFull,
    KillAtChange,
    ListChanges,
    TerminateAtCheckpoint,
    run_main_and_terminate,
)
from tests.support.forked import finish, run_main, start
from util.checkpoints.checkpoint import load_checkpoint

_SHORT = ("train.iterations=2", "train.eval_every=2")


@pytest.fixture(scope="module")
def train(tiny_prepared, tmp_path_factory):
    """A starter of main.py in a folder: 2 iterations, a checkpoint after each."""
    logs = tmp_path_factory.mktemp("logs")

    def run(folder, *arguments, prepare=None):
        """The exit code, and what was printed."""
        log = logs / "log.txt"
        common = [f"data.folder={tiny_prepared}", f"train.output_dir={folder}", *_SHORT]
        code = finish(start(run_main, [*common, *arguments], prepare, log=log))
        return code, log.read_text()

    return run


@pytest.fixture(scope="module")
def whole(train, tmp_path_factory):
    """The folder of a run that nothing happened to, and the changes that it made to its files."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    record = folder.with_name("changes.txt")
    code, printed = train(folder, prepare=ListChanges(folder, record))
    assert code == 0, printed
    return folder, record.read_text().splitlines()


def assert_same_run(one, other):
    """The same weights, optimizer and log lines; nothing else left behind."""
    first, second = (load_checkpoint(folder / "last.pt") for folder in (one, other))
    for part in (first, second):
        assert part["training"].pop("seconds") > 0
    for name, value in first["weights"].items():
        assert torch.equal(value, second["weights"][name]), name
    assert str(first["training"]) == str(second["training"])
    logs = [(folder / "metrics.jsonl").read_text().splitlines() for folder in (one, other)]
    steps = [[json.loads(line)["iteration"] for line in log] for log in logs]
    assert steps[0] == steps[1]
    assert not [path.name for path in other.iterdir() if path.name.startswith(".")]


def test_killed_at_any_change_of_a_file_a_run_goes_on(train, whole, tmp_path):
    folder, changes = whole
    first_whole = changes.index("os.rename .last.new.pt") + 1
    assert {"os.rename last.pt", "os.rename last.previous.pt", "os.rename best.pt"} <= set(
        changes[first_whole:]
    )
    for number in range(first_whole, len(changes)):
        run = tmp_path / f"killed{number}"
        code, printed = train(run, prepare=KillAtChange(run, number))
        assert code == -9, (changes[number], printed)
        code, printed = train(run, "--resume-from-checkpoint", str(run))
        assert code == 0, (changes[number], printed)
        assert_same_run(folder, run)


def test_killed_before_its_first_checkpoint_a_run_says_to_start_anew(train, whole, tmp_path):
    number = whole[1].index("os.rename .last.new.pt")
    assert train(tmp_path, prepare=KillAtChange(tmp_path, number))[0] == -9
    code, printed = train(tmp_path, "--resume-from-checkpoint", str(tmp_path))
    assert code == 2 and "starts anew: delete the folder" in printed and "Traceback" not in printed


def test_truncated_checkpoint_is_refused_with_the_command_that_works(train, whole, tmp_path):
    run = tmp_path / "run"
    assert train(run)[0] == 0
    last = run / "last.pt"
    last.write_bytes(last.read_bytes()[:-100])
    code, printed = train(run, "--resume-from-checkpoint", str(run))
    assert code == 2 and "cut short" in printed and "Traceback" not in printed
    command = printed.rpartition("Command: python main.py ")[2].split()
    assert command == [
        *("--config-file", str(run / "config.yaml")),
        *("--resume-from-checkpoint", str(run / "last.previous.pt")),
    ]
    code, printed = train(run, *command[2:])
    assert code == 0, printed
    assert_same_run(whole[0], run)


def test_full_disk_ends_a_run_in_one_line_and_keeps_the_checkpoint(train, whole, tmp_path):
    code, printed = train(tmp_path, prepare=DiskFull(tmp_path, limit=6000))
    assert code == 2, printed  # TensorBoard's thread may show its own error before
    (line,) = [line for line in printed.splitlines() if line.startswith("main.py: ")]
    assert "cannot be written (File too large)" in line
    assert f"--resume-from-checkpoint {tmp_path}" in line
    assert load_checkpoint(tmp_path / "last.pt")["iteration"] == 1
    code, printed = train(tmp_path, "--resume-from-checkpoint", str(tmp_path))
    assert code == 0, printed
    assert_same_run(whole[0], tmp_path)


def test_a_run_goes_on_where_its_data_moved_to_and_not_on_other_data(train, whole, tiny_prepared, tmp_path):
    run, here, there = tmp_path / "run", tmp_path / "here", tmp_path / "there"
    shutil.copytree(tiny_prepared, here)
    after_one = whole[1].index("os.rename .last.new.pt") + 1
    assert train(run, f"data.folder={here}", prepare=KillAtChange(run, after_one))[0] == -9
    here.rename(there)
    resume = ("--resume-from-checkpoint", str(run), f"data.folder={there}")
    annotations = there / "annotations" / "train.json"
    before = annotations.read_text()
    changed = json.loads(before)
    changed["annotations"][0]["keypoints"][0] += 1
    annotations.write_text(json.dumps(changed))
    code, printed = train(run, *resume)
    assert code == 2 and "cannot be continued on other data" in printed and str(there) in printed
    annotations.write_text(before)
    code, printed = train(run, *resume)
    assert code == 0, printed
    assert_same_run(whole[0], run)


def test_folder_that_takes_no_file_is_named(train):
    code, printed = train("/sys/cephdetr")  # where not even root may write
    assert code == 2 and "/sys/cephdetr: cannot be written" in printed and "Traceback" not in printed


def test_signals_to_every_process_stop_a_run_whole(tiny_prepared, tmp_path):
    """SIGTERM to main process and workers alike, again and again, while workers come and go."""
    run, log = tmp_path / "run", tmp_path / "log.txt"
    endless = ("train.iterations=1000000", "train.save_minutes=9999", "train.eval_every=2", "data.workers=2")
    arguments = [f"data.folder={tiny_prepared}", f"train.output_dir={run}", *endless]
    process = start(run_main, arguments, log=log)
    deadline = time.monotonic() + 200
    while not (run / "best.pt").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    main = psutil.Process(process.pid)
    for _ in range(5):
        with contextlib.suppress(psutil.NoSuchProcess):  # the run may have stopped at an earlier round
            for child in [*main.children(recursive=True), main]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.terminate()
        time.sleep(0.02)
    assert finish(process) == 0, log.read_text()
    printed = log.read_text()
    assert "stopped after" in printed and "Traceback" not in printed, printed
    assert load_checkpoint(run / "last.pt")["iteration"] >= 2


def test_a_signal_more_does_not_kill_a_run_that_has_stopped_whole(tiny_prepared, tmp_path):
    run, log = tmp_path / "run", tmp_path / "log.txt"
    arguments = [f"data.folder={tiny_prepared}", f"train.output_dir={run}", "train.iterations=9"]
    process = start(run_main_and_terminate, arguments, TerminateAtCheckpoint(run), log=log)
    assert finish(process) == 0, log.read_text()
    assert "stopped after 2 of 9 iterations" in log.read_text()

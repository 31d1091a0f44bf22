"""The seam: a task that engine and scripts have never heard of goes through all of them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.support.run_script import TRUSTED
from tests.support.run_scripts import Ended, run_scripts
from tests.support.toy_task import NumberTask
from util.checkpoints.checkpoint import load_checkpoint, load_model, task_of


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Ended]]:
    """The folder, and how every script ended there."""
    folder = tmp_path_factory.mktemp("toy")
    rng, numbers = np.random.default_rng(0), {"train": {}, "val": {}}
    for index in range(12):
        level = int(rng.integers(20, 230))
        image = rng.normal(level, 5.0, (32, 32)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), image)
        numbers["train" if index < 8 else "val"][f"{index}.png"] = level / 255.0
    (folder / "numbers.json").write_text(json.dumps(numbers))
    train = ("main.py", "--config-file", "tests/support/toy_config.py", f"data.folder={folder}")
    best, middle = folder / "run" / "best.pt", folder / "run" / "last.previous.pt"
    calls = {
        "train": (*train, f"train.output_dir={folder / 'run'}"),
        "resume": (*train, f"train.output_dir={folder / 'again'}", "--resume-from-checkpoint", middle),
        "test": (
            *("test.py", "--checkpoint", best, "--subset", "val", "--workers", 0),
            *("--json", folder / "test.json", "--show-dir", folder / "overlays"),
        ),
        "report": ("test.py", "--checkpoint", best, "--subset", "val", "--workers", 0, "--report", "r.html"),
        "inference": (
            *("inference.py", "--checkpoint", best, "--input", folder / "0.png", folder / "9.png"),
            *("--output", folder / "found.json"),
        ),
        "export": ("tools/pytorch2onnx.py", "--checkpoint", best, "--output", folder / "model.onnx"),
    }
    return folder, dict(zip(calls, run_scripts(list(calls.values())), strict=True))


def test_it_trains_evaluates_and_says_what_it_reached(ended: tuple[Path, dict[str, Ended]]):
    folder, done = ended
    assert done["train"].returncode == 0, done["train"].stderr
    assert "Best on 'val': error 0." in done["train"].stdout
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines if "val/error" in line] == [2, 4, 6]
    assert load_checkpoint(folder / "run" / "best.pt")["unit"] == "grey"


def test_it_resumes_to_the_bit(ended: tuple[Path, dict[str, Ended]]):
    folder, done = ended
    assert done["resume"].returncode == 0, done["resume"].stderr
    whole, again = (load_checkpoint(folder / name / "last.pt") for name in ("run", "again"))
    assert load_checkpoint(folder / "run" / "last.previous.pt")["iteration"] < 6
    assert whole["weights"].keys() == again["weights"].keys()
    assert all(torch.equal(whole["weights"][name], again["weights"][name]) for name in whole["weights"])


def test_it_is_loaded_tested_and_predicts(ended: tuple[Path, dict[str, Ended]]):
    folder, done = ended
    for script in ("test", "inference"):
        assert done[script].returncode == 0, done[script].stderr
    file = folder / "run" / "best.pt"
    assert isinstance(task_of(file, TRUSTED), NumberTask)
    rows = {case: found for case, found, _ in json.loads((folder / "test.json").read_text())["rows"]}
    assert len(list((folder / "overlays").glob("*.png"))) == len(rows) == 4
    found = json.loads((folder / "found.json").read_text())
    assert found["model"]["unit"] == "grey" and len(found["images"]) == 2
    (nine,) = (image["number"] for image in found["images"] if image["file"].endswith("9.png"))
    assert nine == pytest.approx(rows["9.png"], abs=1e-6)
    assert load_model(file, packages=TRUSTED).meaning.unit == "grey"


def test_what_it_does_not_give_is_refused_in_one_sentence(ended: tuple[Path, dict[str, Ended]]):
    _, done = ended
    for script, what in (("report", "an HTML report"), ("export", "an ONNX file")):
        assert done[script].returncode == 1
        assert done[script].stderr.strip().splitlines()[-1].endswith(f"{what}, by NumberTask")
        assert "Traceback" not in done[script].stderr


def test_a_file_may_only_name_tasks_of_this_project(ended: tuple[Path, dict[str, Ended]]):
    with pytest.raises(ValueError, match=r"calls 'tests\.support\.toy_task:NumberTask', allowed are only"):
        load_model(ended[0] / "run" / "best.pt")

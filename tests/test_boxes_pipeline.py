"""A detector from training to its files, by the scripts, on COCO in its usual folders as it lies."""

import json

import pytest
import torch

from tests.support.box_data import write_coco
from tests.support.run_scripts import run_scripts
from util.checkpoints.checkpoint import load_checkpoint

CONFIG = "tests/support/tiny_boxes.py"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """How each script ended, and the folder with what they wrote."""
    folder = tmp_path_factory.mktemp("boxes")
    coco, run, out = folder / "coco", folder / "run", folder / "out"
    coco.mkdir()
    write_coco(coco)
    write_coco(coco, subset="val", names=("a", "b"))
    best = run / "best.pt"
    told = ["--report", out / "report.html", "--show-dir", out / "overlays", "--show-conf", 0.0]
    calls = {
        "train": [
            *("main.py", "--config-file", CONFIG, f"data.folder={coco}", f"train.output_dir={run}"),
            "train.save_minutes=0",
        ],
        "resume": [
            *("main.py", "--resume-from-checkpoint", run / "last.previous.pt"),
            f"train.output_dir={folder / 'again'}",
        ],
        "test": [
            "test.py",
            "--coco-path",
            coco,
            "--checkpoint",
            best,
            "--subset",
            "val",
            "--json",
            out / "test.json",
            *told,
        ],
        "inference": [
            *(
                "inference.py",
                "--checkpoint",
                best,
                "--image-dir",
                coco / "val2017",
                "--output",
                out / "found.json",
            ),
            *("--show-conf", 0.0),
        ],
        "pictures": [
            *("tools/visualize_datasets.py", "--coco-path", coco, "--config-file", CONFIG),
            *("--show-dir", out / "pictures", "--count", 1, "--draws", 2),
        ],
        "inside": [
            *("tools/visualize_model.py", "--checkpoint", best, "--input", coco / "val2017/a.png"),
            *("--objects", 3, "--show-dir", out / "inside"),
        ],
    }
    return dict(zip(calls, run_scripts(list(calls.values())), strict=True)), folder


@pytest.mark.parametrize("script", ["train", "resume", "test", "inference", "pictures", "inside"])
def test_every_script_ends_well(runs, script):
    done, _ = runs
    assert done[script].returncode == 0, done[script].stderr


def test_test_writes_fractions_of_one_at_the_top(runs):
    _, folder = runs
    record = json.loads((folder / "out/test.json").read_text())
    assert all(0.0 <= record[name] <= 1.0 for name in ("ap", "ap50", "ap75"))
    assert record["num_images"] == 2 and record["num_objects"] == 4 and record["category_ids"] == [3, 7, 90]
    assert {file.stem for file in (folder / "out/overlays").iterdir()} == {"a", "b"}
    assert (folder / "out/report.html").is_file()


def test_inference_gives_the_ids_of_the_source(runs):
    _, folder = runs
    results = json.loads((folder / "out/found.coco.json").read_text())
    assert {one["category_id"] for one in results} <= {3, 7, 90} and len(results) > 2
    assert {one["image_id"] for one in results} == {"a.png", "b.png"}


def test_a_training_that_goes_on_ends_as_one_that_never_stopped(runs):
    """To the bit, from the checkpoint before the last one."""
    _, folder = runs
    whole, again = (load_checkpoint(folder / name / "last.pt") for name in ("run", "again"))
    assert load_checkpoint(folder / "run/last.previous.pt")["iteration"] == 3
    assert whole["iteration"] == again["iteration"] == 4
    for one, other in ((whole, again), (whole["training"], again["training"])):
        name = "weights" if "weights" in one else "model"
        assert all(torch.equal(tensor, other[name][key]) for key, tensor in one[name].items())


def test_a_look_inside_has_every_picture(runs):
    _, folder = runs
    stems = {file.stem for file in (folder / "out/inside").iterdir()}
    assert stems >= {"detections", "salience", "kept_tokens", "proposals", "layers"}

"""Commands that people know from the original, each as typed, on a COCO folder as it lies."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from datasets.boxes.batch import collate_boxes
from datasets.boxes.box_dataset import open_boxes
from models.boxes.corrections import Corrections, for_published_weights, published
from tasks.boxes import BoxTask
from tests.support.box_data import write_coco
from tests.support.run_scripts import ROOT, run_scripts
from tests.support.small_boxes import small_boxes
from tests.support.small_detr import wake
from tests.test_box_batch import box_sample
from util.checkpoints.boxes.published import published_state
from util.checkpoints.checkpoint import load_checkpoint
from util.checkpoints.described import load_described
from util.config import instantiate, load_config
from util.evaluation.data import open_dataset

MODEL = "tests/support/tiny_published.py"
NAMES = ["none"] * 91
for number, name in ((3, "tooth right"), (7, "tooth left"), (90, "plate")):
    NAMES[number] = name
_SCALES = "shorts=[64], long=96, crop_shorts=[64], crop_sides=[40, 60]"
SMALLER = {
    "MultiScaleTransforms)(": f"MultiScaleTransforms)({_SCALES}, ",
    "short=800, long=1333": "short=64, long=96",
    "workers=4": "workers=0",
}
PUBLISHED = sorted((ROOT / "configs/salience_detr").glob("*.py"))


def edited(folder: Path, **values: object) -> Path:
    """configs/boxes/train_config.py with its first lines edited, as a person would."""
    lines = (ROOT / "configs/boxes/train_config.py").read_text().splitlines()
    for name, value in values.items():
        (place,) = (at for at, line in enumerate(lines) if line.startswith(f"{name} = "))
        lines[place] = f"{name} = {value!r}"
    text = "\n".join(lines)
    for large, small in SMALLER.items():
        assert large in text
        text = text.replace(large, small)
    file = folder / "train_config.py"
    file.write_text(text)
    return file


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """COCO's folders, published weights of the small config, and an edited config of training."""
    folder = tmp_path_factory.mktemp("commands")
    coco = folder / "coco"
    coco.mkdir()
    write_coco(coco)
    write_coco(coco, subset="val", names=("a", "b"))
    torch.manual_seed(0)
    model = instantiate(load_config(ROOT / MODEL).model, num_classes=91)
    wake(model, 0.05)
    torch.save({"model": published_state(model, NAMES)}, folder / "published.pth")
    config = edited(
        folder,
        coco_path=str(coco),
        model_path=MODEL,
        batch_size=2,
        num_epochs=2,
        learning_rate=1e-3,
        output_dir=str(folder / "run"),
    )
    return folder, coco, config


@pytest.fixture(scope="module")
def runs(files):
    """How each command ended."""
    folder, coco, config = files
    model = ["--model-config", MODEL, "--checkpoint", folder / "published.pth"]
    show, conf = folder / "shown", ["--show-conf", 0.5]
    train = ["main.py", "--config-file", config]
    calls = {  # the first one: a process sets up its log once
        "start": [
            *train, "num_epochs=1", f"output_dir={folder / 'tuned'}",
            "--init-checkpoint", folder / "published.pth",
        ],
        "train": [*train, "--accumulate-steps", 2],
        "resume": [
            *train, "--accumulate-steps", 2,
            "--resume-from-checkpoint", folder / "run",
        ],
        "test": [
            "test.py", "--coco-path", coco, "--subset", "val", *model, "--show-dir", show / "test", *conf,
            "--json", folder / "test.json",
        ],
        "inference": [
            "inference.py", "--image-dir", coco / "val2017", *model, "--show-dir", show / "inference", *conf,
            "--output", folder / "found.json",
        ],
        "pictures": [
            "tools/visualize_datasets.py", "--coco-path", coco, "--subset", "train",
            "--show-dir", show / "data",
            "--count", 1, "--draws", 2,
        ],
        "benchmark": [
            "tools/benchmark_model.py", "--model-config", MODEL, "--size", 64, 96, "--repeats", 1,
            "--json", folder / "benchmark.json",
        ],
    }  # fmt: skip
    return dict(zip(calls, run_scripts(list(calls.values())), strict=True)), folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["train", "resume", "start", "test", "inference", "pictures", "benchmark"]
)
def test_the_command_ends_well(runs, command):
    done, _ = runs
    assert done[command].returncode == 0, done[command].stderr


@pytest.mark.slow
def test_training_counts_epochs_and_keeps_its_model(runs):
    done, folder = runs
    saved = load_checkpoint(folder / "run/best.pt")
    assert "finished after 2 of 2 iterations" in done["train"].stdout  # 2 epochs of 3 images by 2 x 2
    assert "nothing left" in done["resume"].stdout or "after 2 of 2" in done["resume"].stdout
    assert {"proposals.classify.weight"} <= saved["weights"].keys()
    assert saved["weights"]["proposals.classify.weight"].shape[0] == 3


@pytest.mark.slow
def test_a_start_from_published_weights_says_what_it_took(runs):
    done, _ = runs
    told = done["start"].stderr
    assert "3 of 3 classes known: tooth right, tooth left, plate" in told and "tensors taken whole" in told


@pytest.mark.slow
def test_published_classes_are_measured_by_their_category_ids(runs):
    _, folder = runs
    record = json.loads((folder / "test.json").read_text())
    assert record["num_objects"] == 4 and all(0.0 <= record[name] <= 1.0 for name in ("ap", "ap50", "ap75"))
    found = json.loads((folder / "found.coco.json").read_text())
    assert found and {one["category_id"] for one in found} <= set(range(91))
    assert {file.name for file in (folder / "shown/test").iterdir()} == {"a.png", "b.png"}
    assert {file.name for file in (folder / "shown/inference").iterdir()} == {"a.png", "b.png"}


def test_labels_of_published_weights_are_category_ids(files):
    folder, coco, _ = files
    loaded = load_described(folder / "published.pth", ROOT / MODEL)
    data = open_dataset(loaded, coco, "val")
    plain = open_boxes(coco, "val")
    ids = [[plain.classes.ids[label] for label in record.labels] for record in plain.records]
    assert [list(record.labels) for record in data.records] == ids
    assert loaded.meaning.names[7] == "tooth left" and loaded.meaning.names[8] == "category 8"


def test_classes_that_published_weights_do_not_know_are_refused(files, tmp_path):
    folder, _, _ = files
    file = write_coco(tmp_path)
    content = json.loads(file.read_text())
    content["categories"][0]["name"] = "implant"  # id 7, which is a tooth there
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"trained on 91 classes, .* has 3"):
        open_dataset(load_described(folder / "published.pth", ROOT / MODEL), tmp_path, "train")


def test_val_has_the_classes_of_train_or_is_refused(files, tmp_path):
    write_coco(tmp_path)
    val = write_coco(tmp_path, names=("a", "b"), subset="val")
    content = json.loads(val.read_text())
    first, second, _ = content["categories"]
    first["name"], second["name"] = second["name"], first["name"]  # ids 7 and 3
    val.write_text(json.dumps(content))
    (done,) = run_scripts([[*training(files, tmp_path), f"coco_path={tmp_path}", "num_epochs=1"]])
    assert done.returncode == 2
    assert f"data.train=train: trained on 3 classes, {tmp_path} has 3 in 'val'" in done.stderr
    assert "(in another order)" in done.stderr


def test_weights_of_another_config_are_refused(files, tmp_path):
    folder, _, _ = files
    other = tmp_path / "other.py"
    other.write_text((ROOT / MODEL).read_text().replace("hidden_dim=48", "hidden_dim=64"))
    with pytest.raises(ValueError, match=r"not the weights of this config: .*linear1"):
        load_described(folder / "published.pth", other)


@pytest.mark.slow
def test_a_checkpoint_of_main_needs_no_config(runs, caplog):
    _, folder = runs
    loaded = load_described(folder / "run/best.pt", ROOT / MODEL)
    assert "carries its own config" in caplog.text and loaded.meaning.names[2] == "plate"


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.stem)
def test_a_published_config_is_enough_for_the_scripts(file):
    config = load_config(file)
    assert {"task", "model", "criterion", "eval_transforms", "num_classes"} <= config.keys()
    assert instantiate(config.eval_transforms).size((640, 480)) == (1066, 800)


def test_what_the_backbone_starts_from_is_said_at_the_top_of_the_config(tmp_path):
    weights = tmp_path / "timm.pt"
    torch.save(timm.create_model("resnet10t").state_dict(), weights)
    scratch, hub, local = (
        load_config(edited(tmp_path, model_path=MODEL, backbone_weights=start)).model
        for start in (None, "hub", str(weights))
    )
    assert scratch.backbone.norm == "native" and hub.backbone.norm == local.backbone.norm == "frozen"
    assert hub.backbone.pretrained is True and scratch.corrections is None
    features = instantiate(local, num_classes=3).backbone.features.state_dict()
    name = "layer1.0.conv1.weight"
    assert torch.equal(features[name], torch.load(weights, weights_only=True)[name])


def test_the_comment_on_published_weights_can_be_followed(tmp_path):
    file = edited(tmp_path, model_path=MODEL)
    text = file.read_text()
    for old, new in {
        "backbone=_backbone, corrections=None": "backbone={}, corrections=L(for_published_weights)()",
        "from torch.optim": "from models.boxes.corrections import for_published_weights\nfrom torch.optim",
    }.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    config = load_config(file).model
    assert config.backbone.norm == "frozen"
    assert instantiate(config, num_classes=3).corrections == for_published_weights()


@pytest.mark.parametrize("mode", [published, Corrections])
def test_what_is_found_does_not_depend_on_the_batch_size_of_a_script(mode):
    """Published numbers were measured with lone images; the published computation sees batch mates."""
    model = small_boxes(mode(), num_detections=400).eval().double()  # more than some image has queries for
    sizes, rng = ((90, 75), (150, 130), (40, 33)), np.random.default_rng(0)
    samples = [replace(box_sample(*size), image=rng.integers(0, 256, size[::-1], np.uint8)) for size in sizes]
    batches = [collate_boxes(part).to("cpu") for part in (samples, *([sample] for sample in samples))]
    batches = [replace(batch, images=batch.images.double()) for batch in batches]
    with torch.no_grad():
        together, *alone = (BoxTask().outputs(model, batch).final for batch in batches)
        joint = model(batches[0].images, sizes=batches[0].sizes).final
    for number, one in enumerate(alone):
        count = one.scores.shape[1]
        exact = 0.0 if mode is published else 1e-9
        torch.testing.assert_close(together.scores[number, :count], one.scores[0], rtol=0, atol=exact)
        torch.testing.assert_close(together.boxes[number, :count], one.boxes[0], rtol=0, atol=1e3 * exact)
        assert not together.scores[number, count:].any()
    changed = (joint.scores[0, :9] - alone[0].scores[0, :9]).abs().max() > 1e-6
    assert changed == (mode is published)


@pytest.mark.slow
def test_two_processes_train(files, tmp_path):
    done = launched(
        "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", 2, *training(files, tmp_path)
    )
    assert done.returncode == 0, done.stderr
    assert "finished after" in done.stdout


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_multi_gpu_trains(files, tmp_path):
    launcher = (
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        max(torch.cuda.device_count(), 2),
    )
    done = launched(*launcher, *training(files, tmp_path), "--mixed-precision", "fp16")
    assert done.returncode == 0, done.stderr
    assert "finished after" in done.stdout


def training(files, folder: Path) -> list[object]:
    """``main.py`` with the edited config, in a run folder of its own."""
    return ["main.py", "--config-file", files[2], f"output_dir={folder / 'run'}"]


def launched(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

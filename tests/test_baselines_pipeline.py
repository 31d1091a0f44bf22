"""Every kind of baseline through main.py, and three through every script after it, as users run them."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.run_scripts import Ended, run_scripts

CONFIGS = "configs/experiments/baselines"
SMALL = {
    "unet_resnet18": ["model.trunk.encoder=tu-resnet10t", "model.trunk.decoder_channels=[16,16,16]"],
    "unetpp_resnet18": ["model.trunk.encoder=tu-resnet10t", "model.trunk.decoder_channels=[16,16,16,8]"],
    "upernet_resnet18": ["model.trunk.encoder=tu-resnet10t", "model.trunk.decoder_channels=[16]"],
    "hrnet_w18": ["model.trunk.encoder.name=hrnet_w18_small"],
    "unet_plain": ["model.trunk.encoder=vgg11_bn", "model.trunk.decoder_channels=[16,16,8,8]"],
    "simcc_resnet18": ["model.backbone.name=resnet10t"],
    "regression_resnet18": ["model.backbone.name=resnet10t", "train.milestones=[0.5]"],
}
QUICK = ["size=[96,96]", "data.workers=0", "train.iterations=2", "train.batch_size=2", "train.eval_every=2"]


@pytest.fixture(scope="module")
def trained(tiny_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Ended]]:
    """The folder with a run of every kind, and how their trainings ended, in the order of SMALL."""
    folder = tmp_path_factory.mktemp("baselines")
    calls = [
        [
            "main.py",
            *("--config-file", f"{CONFIGS}/{name}.py", f"data.folder={tiny_prepared}"),
            *(f"train.output_dir={folder / name}", *QUICK, *changes),
        ]
        for name, changes in SMALL.items()
    ]
    return folder, run_scripts(calls)


@pytest.mark.slow
def test_every_kind_trains_evaluates_and_saves(trained: tuple[Path, list[Ended]]):
    folder, endings = trained
    for name, ended in zip(SMALL, endings, strict=True):
        assert ended.returncode == 0, f"{name}: {ended.stderr[-2000:]}"
        lines = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        assert all(np.isfinite(line["loss"]) for line in lines if "loss" in line)
        assert any("val/mre_mm" in line for line in lines)


def with_uneven_ground(prepared: Path, folder: Path) -> Path:
    """A copy whose images have bright corners: inference would cut an even margin away, test.py does not."""
    shutil.copytree(prepared, folder)
    for file in (folder / "images").iterdir():
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        image[[0, 0, -1, -1], [0, -1, 0, -1]] = 255
        cv2.imwrite(str(file), image)
    return folder


@pytest.mark.slow
def test_what_was_trained_is_evaluated_predicts_and_is_compared(
    trained: tuple[Path, list[Ended]], tiny_prepared: Path
):
    folder, uneven = trained[0], with_uneven_ground(tiny_prepared, trained[0] / "uneven")
    kinds = ("unet_resnet18", "simcc_resnet18", "regression_resnet18")
    evaluations = [
        [
            "test.py",
            "--checkpoint",
            folder / kind / "best.pt",
            "--data",
            uneven,
            "--workers",
            0,
            "--json",
            folder / kind / "test.json",
        ]
        for kind in kinds
    ]
    images = sorted((uneven / "images").glob("tiny[56].png"))
    inference = ["inference.py", "--checkpoint", folder / kinds[0] / "best.pt", "--input", *images]
    compare = ["tools/compare.py", *(folder / kind for kind in kinds)]
    *ended, twice = run_scripts(
        [
            *evaluations,
            [*inference, "--output", folder / "found.json"],
            [*compare, "--repeats", 2, "--output", folder / "out"],
            [*compare, "--no-latency"],
            [*compare, compare[1]],
        ]
    )
    assert [one.returncode for one in ended] == [0] * 6, [one.stderr[-1000:] for one in ended]
    first = json.loads((folder / kinds[0] / "test.json").read_text())
    found = json.loads((folder / "found.json").read_text())
    points = [[[mark["x"], mark["y"]] for mark in image["landmarks"]] for image in found["images"]]
    np.testing.assert_allclose(points, first["points"]["predicted"], atol=0.01)
    assert ended[-1].returncode == 0 and " ms " not in ended[-1].stdout and " ms " in ended[-2].stdout
    assert twice.returncode != 0 and "one file twice" in twice.stderr
    assert "calibration error" in ended[0].stdout and first["calibration"]["error_percent"] > 0
    record = json.loads((folder / "out" / "compare.json").read_text())
    assert [run["name"] for run in record["runs"]] == list(kinds)
    assert all(run["p50_ms"] > 0 and run["params_m"] > 0.1 for run in record["runs"])
    assert record["runs"][0]["mre_mm"] == pytest.approx(first["mre_mm"])
    assert sorted(file.name for file in (folder / "out").iterdir()) == [
        "compare.json",
        "compare.md",
        "compare.png",
    ]

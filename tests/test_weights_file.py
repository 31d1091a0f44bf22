"""Weights to hand out: half the size, the same landmarks, whole or refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from datasets.phantoms.phantom import Phantom
from models.landmarks.landmark_detr import LandmarkDetr
from tests.conftest import TINY_SET
from tests.support.run_script import TRUSTED
from tests.support.run_tool import ROOT, run_tool
from tests.support.tiny import TinyModel
from util.checkpoints.checkpoint import FORMAT, config_of, load_checkpoint, load_model, save_checkpoint
from util.checkpoints.weights_file import read_weights, write_weights
from util.config import instantiate, load_config


@pytest.fixture
def checkpoint() -> dict:
    torch.manual_seed(0)
    cfg = load_config("tests/support/tiny_config.py", ["data.folder=/home/someone/secret"])
    return {
        "format": FORMAT,
        "config": OmegaConf.to_yaml(cfg),
        "landmark_set": TINY_SET.to_dict(),
        "labels": "synthetic",
        "weights": TinyModel(num_landmarks=5, width=64).state_dict(),
        "metrics": {"mre_mm": 1.5},
        "iteration": 7,
        "calibration": 1.25,
    }


@pytest.fixture
def file(checkpoint, tmp_path) -> Path:
    write_weights(tmp_path / "w.safetensors", checkpoint)
    return tmp_path / "w.safetensors"


def test_all_but_precision_and_paths_comes_back(checkpoint, file):
    found = load_checkpoint(file)
    for key in ("format", "landmark_set", "labels", "metrics", "iteration", "calibration"):
        assert found[key] == checkpoint[key]
    assert "secret" not in found["config"] and "output_dir" not in found["config"]
    assert config_of(found, file).model == config_of(checkpoint, file).model
    assert found["weights"].keys() == checkpoint["weights"].keys()
    for name, tensor in checkpoint["weights"].items():
        exact = tensor.ndim < 2 or name == "mean_shape"
        torch.testing.assert_close(
            found["weights"][name].to(tensor.dtype),
            tensor,
            rtol=0 if exact else 1e-3,
            atol=0 if exact else 1e-7,
        )


def test_what_a_model_has_of_its_training_set_keeps_its_digits(checkpoint, tmp_path):
    kept = {name: torch.full((3, 2), 1.0 / 3.0) for name in LandmarkDetr.data_tensors}
    write_weights(tmp_path / "w.safetensors", checkpoint | {"weights": kept})
    for name, tensor in read_weights(tmp_path / "w.safetensors")["weights"].items():
        assert torch.equal(tensor, kept[name]), name


def test_matrices_take_half_the_space(file):
    tensors = load_checkpoint(file)["weights"]
    assert {tensors[name].dtype for name in ("trunk.0.weight", "head.weight")} == {torch.float16}
    assert {tensors[name].dtype for name in ("mean_shape", "head.bias", "trunk.1.running_var")} == {
        torch.float32
    }


def test_a_model_is_built_in_full_precision(checkpoint, file):
    checkpoint["config"] = checkpoint["config"].replace("width: 4", "width: 64")
    write_weights(file, checkpoint)
    loaded = load_model(file, packages=TRUSTED)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    assert float(loaded.model.uncertainty_factor) == 1.25


def test_a_damaged_file_is_refused(file):
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"w\.safetensors: damaged or no safetensors file"):
        load_checkpoint(file)


def test_another_safetensors_file_is_refused(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="lack 'format': not written by tools/export_weights.py"):
        load_checkpoint(tmp_path / "other.safetensors")


def test_a_weight_beyond_float16_is_refused(checkpoint, tmp_path):
    checkpoint["weights"]["head.weight"][0, 0] = 1e6
    with pytest.raises(ValueError, match=r"head.weight: a weight of 1e\+06, float16 ends at 65504"):
        write_weights(tmp_path / "w.safetensors", checkpoint)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def export(checkpoint, tmp_path, tiny_prepared):
    """tools/export_weights.py on a model whose last layer has weights of a given standard deviation."""
    config = load_config("configs/experiments/baselines/regression_resnet18.py", ["size=[96,96]"])
    torch.manual_seed(0)
    model = instantiate(config.model, num_landmarks=5)
    content = checkpoint | {"config": OmegaConf.to_yaml(config), "weights": model.state_dict()}
    places = ("--checkpoint", tmp_path / "best.pt", "--output", tmp_path / "w.safetensors")

    def run(spread: float):
        torch.nn.init.normal_(model.head.weight, std=spread)
        save_checkpoint(tmp_path / "best.pt", content)
        return run_tool("tools/export_weights.py", *places, "--data", tiny_prepared)

    return run


def test_the_tool_writes_what_half_precision_leaves_in_place(export, tmp_path):
    done = export(0.01)
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(tmp_path / "w.safetensors")["weights"]["head.weight"].dtype == torch.float16


def test_the_tool_refuses_what_half_precision_moves_and_writes_nothing(export, tmp_path):
    done = export(1000.0)
    assert "half precision moves" in done.stderr and "Hand out the .pt file" in done.stderr
    assert done.returncode == 1
    assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]


@pytest.mark.parametrize("file", sorted((ROOT / "weights").glob("*.safetensors")), ids=lambda file: file.stem)
def test_weights_that_ship_hold_no_path(file):
    config = load_checkpoint(file)["config"]
    assert "folder" not in config and "/" not in config


def test_one_command_shows_landmarks(tmp_path):
    """Without a checkpoint and an output: the weights that ship, and pictures."""
    case = Phantom(512, seed=5, missing=0.0).case(0)
    cv2.imwrite(str(tmp_path / "xray.png"), case.image)
    command = [sys.executable, str(ROOT / "inference.py"), "--input", "xray.png"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    output = tmp_path / "outputs" / "inference"
    (image,) = json.loads((output / "landmarks.json").read_text())["images"]
    assert len(image["landmarks"]) == 38
    assert np.ptp(cv2.imread(str(output / "xray.png")).astype(int), axis=-1).max() > 50  # drawn in colour


@pytest.mark.parametrize(
    ("config", "part"),
    [("train_config.py", "backbone"), ("experiments/baselines/unet_resnet18.py", "trunk")],
)
def test_the_file_that_a_backbone_started_from_stays_at_home(checkpoint, tmp_path, config, part):
    cfg = load_config(f"configs/{config}", [f"model.{part}.weights=/home/someone/secret.safetensors"])
    write_weights(tmp_path / "w.safetensors", checkpoint | {"config": OmegaConf.to_yaml(cfg)})
    assert "secret" not in load_checkpoint(tmp_path / "w.safetensors")["config"]

"""Weights and configs that were made before modules moved: they load, and find the same points.

``data/points_e585ab6.json`` was recorded once, at commit e585ab6, whose modules lay flat in ``models``: the
points and scales of ``cephdetr38``, unchanged since, on ``data/phantom.png``, those of
``data/smoke_e585ab6.yaml``, the ``config.yaml`` of a smoke run, with weights drawn by name, and every class
that a config named.
"""

import json
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.run_tool import ROOT
from util.checkpoints.checkpoint import load_model
from util.checkpoints.renamed import renamed_targets
from util.config import instantiate, load_config

DATA = Path(__file__).parent / "data"
RECORDED = json.loads((DATA / "points_e585ab6.json").read_text())
_PX, _SCALE = 0.01, 2e-5  # what other processors and versions may change; recorded to 0.001 px and 1e-6


def phantom() -> Tensor:
    """(1, 1, 512, 416) in [0, 1]."""
    image = cv2.imread(str(DATA / "phantom.png"), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return torch.from_numpy(image.repeat(2, 0).repeat(2, 1))[None, None].float() / 255.0


def draw_weights(model: nn.Module) -> None:
    """The same matrices and biases for the same names, in whatever order the parts are built."""
    for name, tensor in model.state_dict().items():
        if name.endswith("bias") or (tensor.ndim > 1 and name != "mean_shape"):
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * tensor[0].numel() ** -0.5)


def check(model: nn.Module, images: Tensor, recorded: dict[str, list[list[float]]]) -> None:
    with torch.inference_mode():
        found = model(images).final
    pixels = found.points[0].double().numpy() * images.shape[:-3:-1]
    assert np.abs(pixels - np.array(recorded["pixels"])).max() < _PX
    assert np.abs(found.scale[0].double().numpy() - np.array(recorded["scale"])).max() < _SCALE


def test_weights_that_were_made_before_find_the_points_that_they_found():
    model = load_model(ROOT / "weights" / "cephdetr38.safetensors", torch.device("cpu")).model
    check(model, phantom(), RECORDED["cephdetr38"])


def test_the_config_of_an_old_run_builds_the_model_that_it_built():
    config = load_config(DATA / "smoke_e585ab6.yaml")
    assert "models.decoder:LandmarkDecoder" in (DATA / "smoke_e585ab6.yaml").read_text()
    model = instantiate(config.model, num_landmarks=4).eval()
    draw_weights(model)
    check(model, phantom()[..., 100:388:3, 60:348:3].contiguous(), RECORDED["smoke"])


@pytest.mark.parametrize("target", RECORDED["targets"])
def test_every_class_that_an_old_config_named_is_found(target):
    module, _, name = renamed_targets({"_target_": target})["_target_"].partition(":")
    found = __import__(module, fromlist=[name])
    assert getattr(found, name).__name__ == name

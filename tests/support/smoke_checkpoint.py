"""Checkpoints of real models at their smallest, untrained, for tests of what opens checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn

from datasets.boxes.class_set import BoxClasses
from datasets.boxes.meaning import BoxMeaning
from datasets.landmarks.landmark_set import LandmarkSet
from datasets.masks.class_set import ClassSet
from datasets.masks.meaning import MaskMeaning
from models.boxes.detector import SalienceDetr
from tests.support.small_boxes import settle
from tests.support.small_detr import wake
from util.checkpoints.checkpoint import FORMAT, save_checkpoint
from util.config import instantiate, load_config


def write_smoke_checkpoint(file: Path, landmark_set: LandmarkSet) -> Path:
    """The model of configs/smoke.py with random weights, as main.py would save it."""
    config = load_config("configs/smoke.py")
    torch.manual_seed(0)
    model = instantiate(config.model, num_landmarks=len(landmark_set))
    wake(model, 0.02)
    model.mean_shape.copy_(0.3 + 0.4 * torch.rand(len(landmark_set), 2))
    meaning = {"landmark_set": landmark_set.to_dict(), "labels": "synthetic"}
    return _saved(file, config, meaning, model)


def write_smoke_mask_checkpoint(file: Path, class_set: ClassSet) -> Path:
    """The model of configs/masks/smoke.py with random weights; it finds something of every class."""
    config = load_config("configs/masks/smoke.py")
    torch.manual_seed(0)
    model = instantiate(config.model, num_classes=len(class_set))
    torch.nn.init.constant_(model.head.bias, 0.0)
    return _saved(file, config, MaskMeaning(class_set, "synthetic").to_dict(), model)


def write_smoke_box_checkpoint(file: Path, classes: BoxClasses, *overrides: str) -> Path:
    """The detector of tests/support/tiny_boxes.py with random weights that find something."""
    config = "tests/support/tiny_boxes.py"
    model = random_detector(config, len(classes.names))
    return _saved(file, load_config(config, overrides), BoxMeaning(classes).to_dict(), model)


def random_detector(config: str, num_classes: int) -> SalienceDetr:
    """Of a config, with statistics as after some training."""
    torch.manual_seed(0)
    model = instantiate(load_config(config).model, num_classes=num_classes)
    wake(model, 0.05)
    settle(model)
    return model


def _saved(file: Path, config: Any, meaning: Mapping[str, Any], model: nn.Module) -> Path:
    """``file``, as main.py would save it before the first step."""
    content = {"format": FORMAT, "config": OmegaConf.to_yaml(config), **meaning}
    save_checkpoint(file, content | {"weights": model.state_dict(), "metrics": {}, "iteration": 0})
    return file

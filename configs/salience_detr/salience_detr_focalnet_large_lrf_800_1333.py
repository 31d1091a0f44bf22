"""Salience-DETR over a FocalNet-L with four focal levels, as published: for its checkpoints."""

from configs.salience_detr.salience_detr_resnet50_800_1333 import (
    criterion,
    eval_transforms,
    model,
    num_classes,
    task,
)
from models.boxes.large_backbones import NormedFocalNet
from util.config import L

model.backbone = L(NormedFocalNet)(
    name="focalnet_large_fl4",
    in_channels=3,
    frozen=["stem", "layers_0", "layers_1.downsample"],
    weights=None,
    options={"drop_path_rate": 0.5},
)

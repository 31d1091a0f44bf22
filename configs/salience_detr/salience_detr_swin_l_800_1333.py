"""Salience-DETR over a Swin-L, as published: for its checkpoints."""

from configs.salience_detr.salience_detr_resnet50_800_1333 import (
    criterion,
    eval_transforms,
    model,
    num_classes,
    task,
)
from models.boxes.large_backbones import PaddedSwin
from util.config import L

model.backbone = L(PaddedSwin)(
    name="swin_large_patch4_window7_224",
    in_channels=3,
    frozen=["patch_embed", "layers_0", "layers_1.downsample"],
    weights=None,
    options={"drop_path_rate": 0.2},
)

"""Salience-DETR over a ConvNeXt-L, as published: for its checkpoints."""

from configs.salience_detr.salience_detr_resnet50_800_1333 import (
    criterion,
    eval_transforms,
    model,
    num_classes,
    task,
)
from models.backbone import TimmBackbone
from util.config import L

model.backbone = L(TimmBackbone)(
    name="convnext_large",
    in_channels=3,
    frozen=["stem_0", "stem_1", "stages_0", "stages_1.downsample"],
    weights=None,
    options={"drop_path_rate": 0.5},
)

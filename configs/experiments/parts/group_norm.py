"""GroupNorm in place of BatchNorm in backbone and neck, from scratch."""

from configs.experiments.parts.base import (
    criterion,
    data,
    embed_dim,
    eval_transforms,
    model,
    optimizer,
    size,
    train,
    train_transforms,
)

model.backbone.norm = "group"
train.update(output_dir="runs/parts_group_norm")

"""Training without zoom."""

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

train_transforms.zoom = (1.0, 1.0)
train.update(output_dir="runs/parts_one_size")

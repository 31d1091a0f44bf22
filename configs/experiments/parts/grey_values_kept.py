"""Training without changed grey values."""

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

train_transforms.intensity.strength = 0.0
train.update(output_dir="runs/parts_grey_values_kept")

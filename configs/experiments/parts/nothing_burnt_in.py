"""Training without burnt-in text and markers."""

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

train_transforms.artefacts = 0.0
train.update(output_dir="runs/parts_nothing_burnt_in")

"""The Laplace likelihood alone."""

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

criterion.update(l1_weight=0.0, likelihood_weight=0.4)
train.update(output_dir="runs/parts_laplace")

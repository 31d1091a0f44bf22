"""L1 alone: no uncertainty."""

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

criterion.update(likelihood_weight=0.0, l1_weight=0.4)
train.update(output_dir="runs/parts_l1")

"""Elastic deformation: other heads from the same X-ray."""

from configs.experiments.ledger.base import (
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

train_transforms.elastic = 0.01
train.update(output_dir="runs/ledger_elastic")

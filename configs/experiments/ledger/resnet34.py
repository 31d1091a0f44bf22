"""A deeper backbone: ResNet-34."""

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

model.backbone.name = "resnet34"
train.update(output_dir="runs/ledger_resnet34")

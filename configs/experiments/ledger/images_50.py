"""50 training images."""

from configs.experiments.ledger.images_25 import (
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

data.update(train="train:50")
train.update(output_dir="runs/ledger_images_50")

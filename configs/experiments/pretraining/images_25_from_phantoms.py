"""25 training images after phantoms (phantom.py)."""

from configs.experiments.pretraining.isbi2015_from_phantoms import (
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

data.update(train="train:25")
train.update(output_dir="runs/images_25_from_phantoms")

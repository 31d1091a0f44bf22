"""25 training images at 512x416."""

from configs.train_config import (
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
train.update(output_dir="runs/images_25", iterations=1000, eval_every=250)

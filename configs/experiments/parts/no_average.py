"""No moving average of the weights."""

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

train.update(ema_decay=0.0, output_dir="runs/parts_no_average")

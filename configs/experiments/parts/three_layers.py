"""Three decoder layers in place of one."""

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

model.decoder.num_layers = 3
train.update(output_dir="runs/parts_three_layers")

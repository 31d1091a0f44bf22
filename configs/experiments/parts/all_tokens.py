"""The encoder updates all tokens, salient or not."""

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

model.encoder.level_ratios = (1.0, 1.0, 1.0, 1.0)
train.update(output_dir="runs/parts_all_tokens")

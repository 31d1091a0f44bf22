"""No denoising queries in training."""

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

criterion.denoising_weight = 0.0
train.update(output_dir="runs/parts_no_denoising")

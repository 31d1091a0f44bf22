"""From a training on phantoms (pretraining/phantom.py)."""

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

train.update(init_checkpoint="runs/pretraining_phantom/best.pt", output_dir="runs/parts_from_phantoms")

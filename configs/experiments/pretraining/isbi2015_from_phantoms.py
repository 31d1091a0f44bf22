"""ISBI 2015 at 256x224 after phantoms (phantom.py), a third of the base's steps."""

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

train.update(
    output_dir="runs/isbi2015_from_phantoms",
    init_checkpoint="runs/pretraining_phantom/best.pt",
    iterations=500,
    eval_every=125,
)

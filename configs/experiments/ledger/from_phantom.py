"""The base, started from the weights of the phantoms."""

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

train.update(output_dir="runs/ledger_from_phantom", init_checkpoint="runs/ledger_phantom/best.pt")

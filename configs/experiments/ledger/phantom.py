"""Phantoms only: 1500 of them (tools/prepare_phantom.py --train 1500 --size 320), 38 landmarks."""

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

data.update(folder="data/phantom1500")
train.update(output_dir="runs/ledger_phantom")

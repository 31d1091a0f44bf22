"""Phantoms to start from: tools/prepare_phantom.py --train 1500 --val 40 --test 200 --size 512."""

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
train.update(output_dir="runs/pretraining_phantom", iterations=1000, eval_every=250)

"""The base on 38 landmarks: CL-Detection 2023, selected by SDR 2 mm."""

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

data.update(folder="data/cl38")
train.update(output_dir="runs/ledger_cl38", select="sdr2", iterations=1000, eval_every=200)

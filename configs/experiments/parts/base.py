"""The base of the parts: 38 landmarks at 256x224, 500 steps, on which parts are ranked in ten minutes."""

from configs.experiments.ledger.cl38 import (
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

train.update(output_dir="runs/parts_base", iterations=500, eval_every=250)

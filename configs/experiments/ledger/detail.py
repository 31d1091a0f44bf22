"""Detail where it counts: the backbone sees 256x224 as ever, the last ROI stage reads a canvas of 512x448."""

from configs.experiments.ledger.base import (
    criterion,
    data,
    embed_dim,
    eval_transforms,
    model,
    optimizer,
    train,
    train_transforms,
)

size = (512, 448)
model.shrink = 2
train.update(output_dir="runs/ledger_detail")

"""The landmark DETR over HRNet-W32, with the steps of the HRNet-W32 heatmaps."""

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

model.backbone.name = "hrnet_w32"
train.update(output_dir="runs/ledger_hrnet_w32_detr", iterations=600, eval_every=200)

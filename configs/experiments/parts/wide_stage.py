"""A third ROI stage before the two, of twice the window."""

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

model.roi_windows = (0.047, 0.0235, 0.008)
train.update(output_dir="runs/parts_wide_stage")

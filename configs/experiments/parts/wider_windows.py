"""Windows of the ROI stages half as large again."""

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

model.roi_windows = (0.035, 0.012)
train.update(output_dir="runs/parts_wider_windows")

"""32 teeth by their FDI numbers on panoramic X-rays (tools/prepare_masks.py --coco)."""

from configs.masks.jsrt import (
    criterion,
    data,
    eval_transforms,
    model,
    optimizer,
    size,
    task,
    train,
    train_transforms,
)

size = (320, 320)
data.update(folder="data/teeth_masks")
train.update(output_dir="runs/teeth_masks", iterations=3000, eval_every=500)

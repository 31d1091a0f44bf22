"""38 landmarks with larger shifts at 512x416, from 256x224 (parts/from_phantoms.py) and so from phantoms."""

from configs.experiments.larger_shifts_cl38 import (
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

train.update(
    output_dir="runs/cl38_512_from_phantoms",
    init_checkpoint="runs/parts_from_phantoms/best.pt",
    eval_every=250,
)

"""25 training images after phantoms (phantom.py)."""

from configs.experiments.ledger.images_25 import (
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
    output_dir="runs/images_25_from_phantoms",
    init_checkpoint="runs/pretraining_phantom/best.pt",
    iterations=500,
    eval_every=125,
)

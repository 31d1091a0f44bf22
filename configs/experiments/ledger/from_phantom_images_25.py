"""25 training images, started from the weights of the phantoms."""

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

train.update(output_dir="runs/ledger_from_phantom_images_25", init_checkpoint="runs/ledger_phantom/best.pt")

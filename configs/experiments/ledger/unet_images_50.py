"""The heatmap baseline with 50 training images."""

from configs.experiments.ledger.images_50 import (
    data,
    eval_transforms,
    optimizer,
    size,
    train,
    train_transforms,
)
from configs.models.unet_resnet18 import criterion, model

train.update(output_dir="runs/ledger_unet_images_50")

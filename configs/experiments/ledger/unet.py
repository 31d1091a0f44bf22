"""The heatmap baseline beside the ledger's base: UNet over ResNet-18."""

from configs.experiments.ledger.base import data, eval_transforms, optimizer, size, train, train_transforms
from configs.models.unet_resnet18 import criterion, model

train.update(output_dir="runs/ledger_unet")

"""38 landmarks, the heatmap baseline: UNet over ResNet-18."""

from configs.experiments.ledger.cl38 import data, eval_transforms, optimizer, size, train, train_transforms
from configs.models.unet_resnet18 import criterion, model

train.update(output_dir="runs/ledger_cl38_unet")

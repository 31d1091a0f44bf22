"""38 landmarks, the heatmap baseline with a deeper encoder: UNet over ResNet-34."""

from configs.experiments.ledger.cl38 import data, eval_transforms, optimizer, size, train, train_transforms
from configs.models.unet_resnet34 import criterion, model

train.update(output_dir="runs/ledger_cl38_unet_resnet34")

"""SimCC over ResNet-18 on ISBI 2015, with data, augmentation and schedule of train_config.py."""

from configs.models.simcc_resnet18 import criterion, model, size
from configs.train_config import data, eval_transforms, optimizer, train, train_transforms

train.update(output_dir="runs/isbi2015_simcc_resnet18")

"""38 landmarks, UNet over ResNet-18 with heatmaps of twice the resolution: stride 2."""

from configs.experiments.ledger.cl38 import data, eval_transforms, optimizer, size, train, train_transforms
from configs.models.unet_resnet18 import criterion, model

model.trunk.update(stride=2, decoder_channels=(256, 128, 64, 32))
model.codec.update(stride=2)
train.update(output_dir="runs/ledger_cl38_unet_stride2")

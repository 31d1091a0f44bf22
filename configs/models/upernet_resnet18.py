"""UPerNet over ResNet-18, otherwise as UNet."""

from configs.models.unet_resnet18 import criterion, model, size

model.trunk.update(architecture="UPerNet", decoder_channels=(64,))

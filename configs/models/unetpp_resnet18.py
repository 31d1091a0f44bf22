"""UNet++ over ResNet-18, otherwise as UNet. Its last block only enlarges, so it ends at stride 2."""

from configs.models.unet_resnet18 import criterion, model, size

model.trunk.update(architecture="UnetPlusPlus", stride=2, decoder_channels=(256, 128, 64, 32))

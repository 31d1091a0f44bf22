"""UNet over ResNet-34, otherwise as the ResNet-18 one."""

from configs.models.unet_resnet18 import criterion, model, size

model.trunk.encoder = "tu-resnet34"

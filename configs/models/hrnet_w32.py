"""HRNet-W32, otherwise as HRNet-W18."""

from configs.models.hrnet_w18 import criterion, model, size

model.trunk.encoder.name = "hrnet_w32"

"""ConvNeXt-T backbone, otherwise as the ResNet-50 model."""

from configs.models.landmark_detr_resnet50 import embed_dim, model, size

model.backbone.name = "convnext_tiny"

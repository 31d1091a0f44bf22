"""Swin-T backbone, otherwise as the ResNet-50 model. Its windows need the input size."""

from configs.models.landmark_detr_resnet50 import embed_dim, model, size

model.backbone.name = "swin_tiny_patch4_window7_224"
model.backbone.options = dict(img_size="${size}")

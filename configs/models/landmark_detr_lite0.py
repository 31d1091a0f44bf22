"""EfficientNet-Lite0, to start from ImageNet weights; otherwise as the ResNet-18 model."""

from configs.models.landmark_detr_resnet18 import embed_dim, model, size

model.backbone.name = "tf_efficientnet_lite0"

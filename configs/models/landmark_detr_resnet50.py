"""The larger landmark DETR: ResNet-50, wider, two encoder layers."""

from configs.models.landmark_detr_resnet18 import model, size

embed_dim = 160
model.backbone.name = "resnet50"
model.encoder.update(num_heads=5, layer_ratios=(1.0, 0.7))
model.decoder.update(num_heads=5)

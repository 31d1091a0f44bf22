"""The default landmark DETR: ResNet-50, two encoder layers."""

from configs.models.landmark_detr_resnet18 import model, size

embed_dim = 192
model.backbone.name = "resnet50"
model.fine_dim = 96
model.encoder.update(num_heads=6, layer_ratios=(1.0, 0.7))
model.decoder.update(num_heads=6, num_layers=4)

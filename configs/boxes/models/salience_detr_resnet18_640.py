"""Larger: 300 queries at 640 x 640 pixels, for many and small objects."""

from configs.boxes.models.salience_detr_resnet18 import criterion, embed_dim, model, task

size = (640, 640)
model.update(num_queries=300, num_attending=300, num_detections=300)

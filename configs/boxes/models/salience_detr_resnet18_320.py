"""Smaller still: 100 queries at 320 x 320 pixels, for few and large objects."""

from configs.boxes.models.salience_detr_resnet18 import criterion, embed_dim, model, task

size = (320, 320)
model.update(num_queries=100, num_attending=100, num_detections=100)

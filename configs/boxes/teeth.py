"""Teeth on panoramic X-rays (tools/prepare_coco.py, data/teeth): many objects, 512 x 512 pixels."""

from configs.boxes.models.salience_detr_resnet18 import criterion, embed_dim, model, size
from configs.boxes.phantom import data, eval_transforms, optimizer, task, train, train_transforms

data.update(folder="data/teeth")
train.update(output_dir="runs/teeth", iterations=3000, eval_every=500, ema_decay=0.998)

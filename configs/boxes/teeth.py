"""Teeth on panoramic X-rays (tools/prepare_coco.py, data/teeth): many objects, 384 x 384 pixels."""

from configs.boxes.models.salience_detr_resnet18_320 import criterion, embed_dim, model
from configs.boxes.phantom import data, eval_transforms, optimizer, task, train, train_transforms

size = (384, 384)
data.update(folder="data/teeth")
train.update(output_dir="runs/teeth", iterations=1600, eval_every=200, ema_decay=0.998)
train_transforms.update(flip=0.5)  # tooth numbers have their mirror partners

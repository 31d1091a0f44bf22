"""The published ResNet-50 detector in the right mode as far as its weights allow: faster, batches apart."""

from configs.salience_detr.salience_detr_resnet50_800_1333 import (
    criterion,
    eval_transforms,
    model,
    num_classes,
    task,
)
from models.boxes.corrections import for_published_weights
from util.config import L

model.update(corrections=L(for_published_weights)(), most_denoised=100, clip=True)
criterion.update(padding_counts=False)

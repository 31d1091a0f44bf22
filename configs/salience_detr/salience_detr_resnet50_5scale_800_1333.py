"""The "5-scale" configuration as published: four levels of strides 4 to 32, none added."""

from configs.salience_detr.salience_detr_resnet50_800_1333 import (
    criterion,
    eval_transforms,
    model,
    num_classes,
    task,
)

model.update(num_maps=4, extra_levels=0, table_size=500)

"""38 landmarks, a deeper backbone: ResNet-34."""

from configs.experiments.ledger.cl38 import (
    criterion,
    data,
    embed_dim,
    eval_transforms,
    model,
    optimizer,
    size,
    train,
    train_transforms,
)

model.backbone.name = "resnet34"
train.update(output_dir="runs/ledger_cl38_resnet34")

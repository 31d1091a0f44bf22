"""Local contrast in place of grey values: soft tissue is dark, and exposures differ."""

from configs.experiments.ledger.base import (
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
from models.normalisation import LocalContrast
from util.config import L

model.normalise = L(LocalContrast)()
train.update(output_dir="runs/ledger_contrast")

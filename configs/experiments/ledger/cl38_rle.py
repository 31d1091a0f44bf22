"""38 landmarks, with residual log-likelihood estimation in place of the Laplace likelihood."""

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
from models.residual_density import ResidualDensity
from util.config import L

criterion.density = L(ResidualDensity)()
train.update(output_dir="runs/ledger_cl38_rle")

"""The ledger's base: the default experiment at 256x224, on which ideas are ranked in twenty minutes."""

from configs.train_config import (
    criterion,
    data,
    embed_dim,
    eval_transforms,
    model,
    optimizer,
    train,
    train_transforms,
)

size = (256, 224)
train.update(output_dir="runs/ledger_base", iterations=1500, eval_every=500)

"""The embedded default: phantoms, which need no download. `make demo` runs this."""

from configs.train_config import (
    criterion,
    data,
    embed_dim,
    eval_transforms,
    model,
    optimizer,
    task,
    train,
    train_transforms,
)

size = (192, 160)
data.update(folder="data/phantom")
train.update(output_dir="runs/phantom", iterations=400, eval_every=100)

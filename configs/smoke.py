"""The whole of the machinery in seconds: a tiny model on tiny phantoms, for tests."""

from configs.phantom import (
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

size = (96, 96)
embed_dim = 32
model.backbone.name = "resnet10t"
model.fine_dim = 16
data.update(workers=0)
train.update(output_dir="runs/smoke", iterations=4, batch_size=2, eval_every=2, log_every=1)

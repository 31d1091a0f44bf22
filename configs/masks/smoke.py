"""The whole of the machinery in seconds: a tiny model on tiny images, for tests."""

from configs.masks.jsrt import (
    criterion,
    data,
    eval_transforms,
    model,
    optimizer,
    size,
    task,
    train,
    train_transforms,
)

size = (64, 64)
model.update(embed_dim=32, fine_dim=16)
data.update(workers=0)
train.update(output_dir="runs/smoke_masks", iterations=4, batch_size=2, eval_every=2, log_every=1)
train.update(mixed_precision="no")

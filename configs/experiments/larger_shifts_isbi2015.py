"""500 steps of larger shifts from the default experiment: the weights of 19 landmarks that ship."""

from configs.train_config import (
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

optimizer.lr = 3e-4
train_transforms.intensity.strength = 2.0
train_transforms.update(zoom=(0.7, 1.4), artefacts=0.4, capital=0.1)
train.update(
    output_dir="runs/larger_shifts_isbi2015",
    init_checkpoint="runs/isbi2015_resnet18/best.pt",
    iterations=500,
    eval_every=100,
)

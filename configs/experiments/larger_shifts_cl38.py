"""500 steps of larger shifts from the 38 landmarks: the weights that ship."""

from configs.experiments.cl_detection2023 import (
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
    output_dir="runs/larger_shifts_cl38",
    init_checkpoint="runs/cl38_resnet18/best.pt",
    iterations=500,
    eval_every=100,
)

"""500 steps of larger shifts from the 38 landmarks of cl_detection2023.py: the weights that ship."""

from configs.experiments.larger_shifts_isbi2015 import (
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

data.update(folder="data/cl38")
train.update(
    output_dir="runs/larger_shifts_cl38", init_checkpoint="runs/cl38_resnet18/best.pt", select="sdr2"
)

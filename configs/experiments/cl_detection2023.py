"""CL-Detection 2023's 38 landmarks (tools/prepare_cl_detection2023.py), selected by SDR 2 mm."""

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

data.update(folder="data/cl38")
train.update(output_dir="runs/cl38_resnet18", select="sdr2")

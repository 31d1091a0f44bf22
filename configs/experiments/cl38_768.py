"""A larger input for the 38 landmarks: 400 steps at 768x640 from the weights that ship."""

from configs.experiments.larger_shifts_cl38 import (
    criterion,
    data,
    embed_dim,
    eval_transforms,
    model,
    optimizer,
    train,
    train_transforms,
)

size = (768, 640)
train_transforms.intensity.grain = 1.5
train.update(output_dir="runs/cl38_768", init_checkpoint="weights/cephdetr38.safetensors", iterations=400)

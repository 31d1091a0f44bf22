"""500 steps more from the weights of 19 landmarks, with pictures so hard that soft tissue is black."""

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

train_transforms.intensity.update(hard=0.3, invert=0.1)
train_transforms.artefacts = 0.5
train.update(output_dir="runs/hard_isbi2015", init_checkpoint="weights/cephdetr19.safetensors")

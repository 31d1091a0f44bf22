"""From the model of jsrt.py on to 512 x 512 pixels, where clavicles gain most: 800 steps more."""

from configs.masks.jsrt import (
    criterion,
    data,
    eval_transforms,
    model,
    optimizer,
    task,
    train,
    train_transforms,
)

size = (512, 512)
optimizer.update(lr=1e-3)
train.update(init_checkpoint="runs/jsrt/best.pt", output_dir="runs/jsrt_512", eval_every=200, ema_decay=0.995)

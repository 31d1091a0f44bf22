"""Lungs, heart and clavicles on chest X-rays (tools/prepare_masks.py with the masks of JSRT/SCR)."""

from configs.masks.parts.augmentation import eval_transforms, size, train_transforms
from configs.masks.parts.data import data, task
from configs.masks.parts.experiment import optimizer, train
from configs.masks.parts.loss import criterion
from configs.masks.parts.model import model

data.update(folder="data/jsrt")
train.update(mixed_precision="bf16")  # halves the time where the CPU knows it; fp16 on a GPU

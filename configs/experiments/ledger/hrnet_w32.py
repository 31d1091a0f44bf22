"""The other heatmap baseline: HRNet-W32, with the steps that fit into the minutes of the base."""

from configs.experiments.ledger.base import data, eval_transforms, optimizer, size, train, train_transforms
from configs.models.hrnet_w32 import criterion, model

train.update(output_dir="runs/ledger_hrnet_w32", iterations=600, eval_every=200)

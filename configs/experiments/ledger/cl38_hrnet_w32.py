"""38 landmarks, HRNet-W32, with the steps that fit into the minutes of the DETR."""

from configs.experiments.ledger.cl38 import data, eval_transforms, optimizer, size, train, train_transforms
from configs.models.hrnet_w32 import criterion, model

train.update(output_dir="runs/ledger_cl38_hrnet_w32", iterations=400, eval_every=100)

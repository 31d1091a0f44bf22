from torch.optim import AdamW

from tests.support.tiny import TinyCriterion, TinyModel, TinyTransforms
from util.config import L

size = (48, 40)
model = L(TinyModel)(width=4)
criterion = L(TinyCriterion)()
train_transforms = L(TinyTransforms)(size=size, shift=3.0)
eval_transforms = L(TinyTransforms)(size=size)
data = {"folder": "unset", "train": "train", "val": "test", "workers": 0}
optimizer = L(AdamW)(lr=0.01, weight_decay=0.01)
train = {
    "output_dir": "unset",
    "iterations": 4,
    "batch_size": 2,
    "accumulate_steps": 1,
    "eval_every": 2,
    "save_minutes": 0,
    "log_every": 1,
    "eval_batch_size": 2,
    "patience": None,
    "select": "mre",
    "mixed_precision": "no",
    "seed": 0,
}

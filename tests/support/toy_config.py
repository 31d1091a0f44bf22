from torch.optim import AdamW

from tests.support.toy_task import NumberCriterion, NumberModel, NumberTask
from transforms.augment import EvalTransforms, TrainTransforms
from util.config import L

size = (32, 32)
task = L(NumberTask)()
model = L(NumberModel)()
criterion = L(NumberCriterion)()
train_transforms = L(TrainTransforms)(size=size, rotation=5.0)
eval_transforms = L(EvalTransforms)(size=size)
data = {"folder": "unset", "train": "train", "val": "val", "workers": 0}
optimizer = L(AdamW)(lr=0.01)
train = {
    "output_dir": "unset",
    "iterations": 6,
    "batch_size": 4,
    "eval_every": 2,
    "save_minutes": 0,
    "log_every": 1,
}

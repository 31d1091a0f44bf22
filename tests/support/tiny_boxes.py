"""The smallest detector that trains, for tests: seconds on a CPU."""

from torch.optim import AdamW

from models.backbone import TimmBackbone
from models.boxes.criterion import BoxCriterion
from models.boxes.detector import SalienceDetr
from models.normalisation import FixedScale
from tasks.boxes import BoxTask
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.intensity import Intensity
from util.config import L

size = (64, 64)
task = L(BoxTask)()
model = L(SalienceDetr)(
    backbone=L(TimmBackbone)(name="resnet10t", in_channels=1, weights=None),
    embed_dim=64,
    normalise=L(FixedScale)(),
    num_heads=8,
    hidden_dim=64,
    num_queries=20,
    layer_ratios=[1.0],
    num_decoder_layers=2,
    num_attending=20,
    num_detections=20,
)
criterion = L(BoxCriterion)()
train_transforms = L(TrainTransforms)(
    size="${size}", rotation=0.0, intensity=L(Intensity)(strength=0.5), flip=0.5
)
eval_transforms = L(EvalTransforms)(size="${size}")
data = {"folder": "data/none", "train": "train", "val": "val", "test": "test", "workers": 0}
optimizer = L(AdamW)(lr=1e-3, weight_decay=1e-4)
train = {
    "output_dir": "runs/tiny_boxes",
    "iterations": 4,
    "batch_size": 2,
    "accumulate_steps": 1,
    "warmup": 0.05,
    "milestones": None,
    "clip_norm": 0.1,
    "ema_decay": 0.9,
    "eval_every": 2,
    "eval_batch_size": 2,
    "save_minutes": 10.0,
    "log_every": 1,
    "patience": None,
    "select": "ap",
    "mixed_precision": "no",
    "seed": 0,
    "init_checkpoint": None,
    "init_parts": None,
}

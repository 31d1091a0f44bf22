"""The default experiment: the fast model on ISBI 2015, mean labels (tools/prepare_isbi2015.py)."""

from torch.optim import AdamW

from configs.models.landmark_detr_resnet18 import embed_dim, model, size
from models.landmarks.losses import LandmarkCriterion
from tasks.landmarks import LandmarkTask
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.intensity import Intensity
from util.config import L

task = L(LandmarkTask)()
criterion = L(LandmarkCriterion)()
train_transforms = L(TrainTransforms)(size="${size}", intensity=L(Intensity)(strength=1.0))
eval_transforms = L(EvalTransforms)(size="${size}")
data = dict(folder="data/isbi2015", train="train", val="val", test="test", workers=2)
optimizer = L(AdamW)(lr=7e-4, weight_decay=1e-2)
train = dict(
    output_dir="runs/isbi2015_resnet18",
    iterations=2200,
    batch_size=8,
    accumulate_steps=1,
    warmup=0.05,
    milestones=None,
    clip_norm=1.0,
    ema_decay=0.998,
    eval_every=250,
    eval_batch_size=8,
    save_minutes=10.0,
    log_every=20,
    patience=None,
    select="mre",
    mixed_precision="no",
    seed=0,
    init_checkpoint=None,
    init_parts=None,
)

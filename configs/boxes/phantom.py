"""The embedded default of boxes: teeth and bones of phantoms, which need no download.

python tools/prepare_phantom.py --task boxes --output data/phantom_boxes
python main.py --config-file configs/boxes/phantom.py
"""

from torch.optim import AdamW

from configs.boxes.models.salience_detr_resnet18_320 import criterion, embed_dim, model, size
from configs.train_config import train
from tasks.boxes import BoxTask
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.intensity import Intensity
from util.config import L

task = L(BoxTask)()
train_transforms = L(TrainTransforms)(size="${size}", rotation=5.0, intensity=L(Intensity)(strength=1.0))
eval_transforms = L(EvalTransforms)(size="${size}")
data = dict(folder="data/phantom_boxes", train="train", val="val", test="test", workers=2)
optimizer = L(AdamW)(lr=1e-3, weight_decay=1e-4)
train.update(
    output_dir="runs/phantom_boxes",
    iterations=400,
    batch_size=4,
    clip_norm=0.1,
    ema_decay=0.99,
    eval_every=200,
    select="ap",
)

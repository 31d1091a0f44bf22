"""A large detector on COCO as it lies in its usual folders: edit the first lines and start.

python main.py --config-file configs/boxes/train_config.py --mixed-precision fp16
accelerate launch --multi_gpu main.py --config-file configs/boxes/train_config.py --mixed-precision fp16
"""

from torch.optim import AdamW

from tasks.boxes import BoxTask
from transforms.multiscale import MultiScaleTransforms, ShortSideTransforms
from util.config import L

num_epochs = 12
batch_size = 2  # images a step, over all GPUs together
learning_rate = 1e-4
backbone_learning_rate = 0.1 * learning_rate
output_dir = "runs/coco_boxes"
coco_path = "data/coco"  # with annotations/instances_train2017.json, train2017/ and the same of val
model_path = "configs/salience_detr/salience_detr_resnet50_800_1333.py"
backbone_weights = None  # timm's for this backbone: a local file, or "hub"; None: from scratch

if backbone_weights is None:  # frozen stages and norms are for pretrained weights
    _backbone = {"frozen": [], "norm": "native"}
else:
    _backbone = {"pretrained": True} if backbone_weights == "hub" else {"weights": backbone_weights}
task = L(BoxTask)()
# In the right mode (docs/boxes.md). From published weights (train.init_checkpoint) on, corrections should be
# L(for_published_weights)() of models.boxes.corrections, which keeps what these weights were trained to, and
# _backbone {}, which keeps their frozen stages and norms.
model = dict(backbone=_backbone, corrections=None, most_denoised=100, clip=True)
criterion = dict(padding_counts=False)
train_transforms = L(MultiScaleTransforms)(flip=0.5)
eval_transforms = L(ShortSideTransforms)(short=800, long=1333)
data = dict(folder="${coco_path}", train="train", val="val", test="val", workers=4)
optimizer = L(AdamW)(lr="${learning_rate}", weight_decay=1e-4, betas=[0.9, 0.999])
train = dict(
    output_dir="${output_dir}",
    iterations=0,
    epochs="${num_epochs}",
    batch_size="${batch_size}",
    accumulate_steps=1,
    encoder_lr="${backbone_learning_rate}",
    warmup=1000,
    milestones=[10 / 12],
    clip_norm=0.1,
    ema_decay=0.999,
    eval_every=0,
    eval_batch_size=1,
    save_minutes=10.0,
    log_every=50,
    patience=None,
    select="ap",
    mixed_precision="no",
    seed=0,
    init_checkpoint=None,
    init_parts=None,
)

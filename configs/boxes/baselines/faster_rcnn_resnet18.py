"""torchvision's Faster R-CNN over ResNet-18, with data, augmentation and schedule of teeth.py."""

from configs.boxes.teeth import data, eval_transforms, optimizer, size, task, train, train_transforms
from models.backbone import TimmBackbone
from models.boxes.baselines.faster_rcnn import FasterRcnn, FasterRcnnCriterion
from models.normalisation import FixedScale
from util.config import L

model = L(FasterRcnn)(
    backbone=L(TimmBackbone)(name="resnet18"),
    embed_dim=128,
    anchor_sizes=[16, 32, 64, 128, 256],
    objects_sampled=256,
    normalise=L(FixedScale)(),
)
criterion = L(FasterRcnnCriterion)()
optimizer.update(lr=4e-4)
train.update(output_dir="runs/teeth_faster_rcnn", clip_norm=1.0)

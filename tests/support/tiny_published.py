"""A config as those of configs/salience_detr/, of the smallest detector: RGB, the published computation."""

from models.backbone import TimmBackbone
from models.boxes.corrections import published
from models.boxes.criterion import BoxCriterion
from models.boxes.detector import SalienceDetr
from tasks.boxes import BoxTask
from transforms.published_size import PublishedSize
from util.config import L

task = L(BoxTask)()
eval_transforms = L(PublishedSize)(short=64, long=96)
model = L(SalienceDetr)(
    backbone=L(TimmBackbone)(name="resnet10t", in_channels=3, norm="frozen", frozen=[], weights=None),
    embed_dim=32,
    num_heads=4,
    num_points=2,
    hidden_dim=48,
    num_queries=20,
    layer_ratios=[1.0, 0.5],
    num_decoder_layers=2,
    num_attending=12,
    num_detections=15,
    most_denoised=None,
    clip=False,
    corrections=L(published)(),
)
criterion = L(BoxCriterion)(padding_counts=True)
num_classes = 91

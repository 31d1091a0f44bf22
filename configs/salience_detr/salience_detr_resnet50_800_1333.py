"""Salience-DETR over a ResNet-50, four levels of strides 8 to 64, as published: for its checkpoints."""

from models.backbone import TimmBackbone
from models.boxes.corrections import published
from models.boxes.criterion import BoxCriterion
from models.boxes.detector import SalienceDetr
from tasks.boxes import BoxTask
from transforms.published_size import PublishedSize
from util.config import L

task = L(BoxTask)()
eval_transforms = L(PublishedSize)(short=800, long=1333)
model = L(SalienceDetr)(
    backbone=L(TimmBackbone)(
        name="resnet50", in_channels=3, norm="frozen", frozen=["conv1", "bn1", "layer1"], weights=None
    ),
    num_maps=3,
    extra_levels=1,
    embed_dim=256,
    num_heads=8,
    num_points=4,
    hidden_dim=2048,
    num_queries=900,
    level_ratios=[0.4, 0.8, 1.0, 1.0],
    layer_ratios=[1.0, 0.8, 0.6, 0.6, 0.4, 0.2],
    num_decoder_layers=6,
    num_attending=300,
    num_detections=300,
    table_size=200,
    most_denoised=None,
    clip=False,
    nms_overlap=None,
    corrections=L(published)(),
)
criterion = L(BoxCriterion)(padding_counts=True)
num_classes = 91

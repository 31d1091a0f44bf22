"""The small detector: ResNet-18, 3 + 3 layers, 200 queries, grey images of 512 x 512 pixels, right mode."""

from models.backbone import TimmBackbone
from models.boxes.criterion import BoxCriterion
from models.boxes.detector import SalienceDetr
from models.normalisation import FixedScale
from tasks.boxes import BoxTask
from util.config import L

task = L(BoxTask)()
size = (512, 512)
embed_dim = 128
model = L(SalienceDetr)(
    backbone=L(TimmBackbone)(name="resnet18"),
    num_maps=3,
    extra_levels=1,
    embed_dim="${embed_dim}",
    num_heads=8,
    num_points=4,
    hidden_dim=256,
    num_queries=200,
    level_ratios=[0.3, 0.6, 1.0, 1.0],
    layer_ratios=[1.0, 0.6, 0.3],
    num_decoder_layers=3,
    num_attending=200,
    num_detections=200,
    dense_proposals=True,
    nms_overlap=0.7,  # a short training leaves double boxes of a class
    normalise=L(FixedScale)(),
)
criterion = L(BoxCriterion)()

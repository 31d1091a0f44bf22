"""SimCC over ResNet-18: each coordinate classified into bins of half a pixel."""

from models.backbone import TimmBackbone
from models.landmarks.baselines.simcc import SimccCodec, SimccCriterion, SimccNet
from util.config import L

size = (512, 416)
model = L(SimccNet)(backbone=L(TimmBackbone)(name="resnet18"), size="${size}", codec=L(SimccCodec)())
criterion = L(SimccCriterion)()

"""The fast model: backbone and neck of the landmark model with a map a class."""

from models.backbone import TimmBackbone
from models.masks.neck_net import NeckMaskNet
from util.config import L

size = (256, 256)
model = L(NeckMaskNet)(backbone=L(TimmBackbone)(name="resnet18"))

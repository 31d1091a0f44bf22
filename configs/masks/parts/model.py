"""The fast model: backbone and neck of the landmark model with a map a class."""

from models.backbone import TimmBackbone
from models.masks.neck_net import NeckMaskNet
from util.config import L

size = (320, 320)
model = L(NeckMaskNet)(backbone=L(TimmBackbone)(name="resnet10t"), embed_dim=64)

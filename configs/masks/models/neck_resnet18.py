"""The fast model: backbone and neck of the landmark model with a map a class."""

from models.backbone import TimmBackbone
from models.masks.neck_net import NeckMaskNet
from tasks.masks import MaskTask
from util.config import L

task = L(MaskTask)()
size = (256, 256)
model = L(NeckMaskNet)(backbone=L(TimmBackbone)(name="resnet18"))

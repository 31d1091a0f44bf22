"""UPerNet of segmentation-models-pytorch over ResNet-18."""

from models.masks.smp_net import SmpMaskNet
from tasks.masks import MaskTask
from util.config import L

task = L(MaskTask)()
size = (256, 256)
model = L(SmpMaskNet)(architecture="UPerNet", encoder="tu-resnet18")

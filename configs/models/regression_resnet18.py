"""Plain global regression over ResNet-18."""

from models.backbone import TimmBackbone
from models.landmarks.baselines.regression import RegressionCriterion, RegressionNet
from util.config import L

size = (512, 416)
model = L(RegressionNet)(backbone=L(TimmBackbone)(name="resnet18"))
criterion = L(RegressionCriterion)()

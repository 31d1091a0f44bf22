"""Heatmaps over the landmark DETR's own backbone and neck, with the loss of the UNet."""

from configs.experiments.ledger.cl38 import data, eval_transforms, optimizer, size, train, train_transforms
from configs.models.unet_resnet18 import criterion, model
from models.backbone import TimmBackbone
from models.neck_trunk import NeckTrunk
from util.config import L

model.trunk = L(NeckTrunk)(encoder=L(TimmBackbone)(name="resnet18"), neck="unet")
train.update(output_dir="runs/ledger_cl38_neck_heatmaps")

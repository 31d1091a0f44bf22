"""HRNet-W18: its four branches concatenated at stride 4; codec and loss as for UNet."""

from configs.models.unet_resnet18 import criterion, model, size
from models.backbone import TimmBackbone
from models.landmarks.baselines.heatmap_trunks import ConcatTrunk
from util.config import L

# feature_location="": the branches themselves, not the classifier's widened copies of them
model.trunk = L(ConcatTrunk)(encoder=L(TimmBackbone)(name="hrnet_w18", options={"feature_location": ""}))

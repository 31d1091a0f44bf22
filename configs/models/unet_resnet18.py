"""UNet over ResNet-18: heatmaps of stride 4 as probabilities of place, decoded by DARK."""

from models.landmarks.baselines.heatmap_codec import GaussianHeatmaps
from models.landmarks.baselines.heatmap_net import HeatmapNet
from models.landmarks.baselines.heatmap_trunks import SmpTrunk
from models.landmarks.baselines.losses_heatmap import HeatmapCriterion, SoftmaxCrossEntropy
from util.config import L

size = (512, 416)
model = L(HeatmapNet)(
    trunk=L(SmpTrunk)(architecture="Unet", encoder="tu-resnet18", decoder_channels=(256, 128, 64)),
    codec=L(GaussianHeatmaps)(stride=4, sigma=4.0, activation="softmax", decoding="dark"),
)
criterion = L(HeatmapCriterion)(loss=L(SoftmaxCrossEntropy)())

"""The plain UNet (Ronneberger et al., 2015): double 3x3 convolutions, heatmaps of stride 1, squared error.

VGG-13's first five stages are UNet's contracting path with BatchNorm and a last width of 512 instead of 1024.
"""

from configs.models.unet_resnet18 import model, size
from models.landmarks.baselines.losses_heatmap import HeatmapCriterion, MeanSquaredError
from util.config import L

model.trunk.update(encoder="vgg13_bn", depth=4, stride=1, decoder_channels=(512, 256, 128, 64))
model.codec.update(stride=1, activation="linear", decoding="argmax")
criterion = L(HeatmapCriterion)(loss=L(MeanSquaredError)())

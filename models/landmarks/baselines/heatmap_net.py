"""Heatmap models: an encoder-decoder, one map per landmark, and a codec that reads points from the maps."""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from models.landmarks.baselines.heatmap_codec import GaussianHeatmaps
from models.landmarks.baselines.heatmap_trunks import ConcatTrunk, SmpTrunk
from models.landmarks.landmark_model import LandmarkModel
from models.landmarks.prediction import Prediction, Targets
from models.normalisation import Normalisation
from models.precision import PointwiseConv2d, full_precision

_PRIOR = 0.01  # what a sigmoid map starts at everywhere (Lin et al., 2017, section 4.1)
_HEAD_STD = 0.001  # of a linear head's weights, so that its maps start near zero (Xiao et al., 2018)


@dataclass(frozen=True)
class HeatmapOutputs:
    """Everything the losses need; ``final`` is what users see."""

    final: Prediction
    heatmaps: Tensor  # (B, K, H / stride, W / stride) before the codec's activation, float32
    codec: GaussianHeatmaps


class HeatmapNet(LandmarkModel):
    """The features of ``trunk`` as K heatmaps of the codec's stride, decoded by the codec.

    ``mean_shape`` is kept for whoever reads a checkpoint; this model does not use it.
    """

    output_tensors = ("head.weight", "head.bias")

    def __init__(
        self,
        *,
        num_landmarks: int,
        trunk: SmpTrunk | ConcatTrunk,
        codec: GaussianHeatmaps,
        normalise: Normalisation | None = None,
    ) -> None:
        super().__init__(num_landmarks, normalise)
        self.codec = codec
        self.trunk = trunk
        self.resize = _resize(trunk.channels, trunk.stride, codec.stride)
        self.head = _head(trunk.channels, num_landmarks, codec.activation)

    def forward(self, images: Tensor, targets: Targets | None = None) -> HeatmapOutputs:
        """(B, 1, H, W) images in [0, 1] -> heatmaps and the landmarks read from them.

        Raises ValueError for sides that the strides do not divide.
        """
        features = self.resize(self.trunk(self.normalise(images)))
        with full_precision(images):
            heatmaps = self.head(features.float())
            return HeatmapOutputs(self.calibrated(self.codec.decode(heatmaps.detach())), heatmaps, self.codec)


def _resize(channels: int, stride: int, wanted: int) -> nn.Module:
    """From a map of ``stride`` to one of ``wanted``; what is enlarged is smoothed by a convolution."""
    if wanted == stride:
        return nn.Identity()
    coarse, fine = max(stride, wanted), min(stride, wanted)
    if coarse % fine:
        raise ValueError(
            f"heatmaps of stride {wanted} from features of stride {stride}: expected one to divide "
            "the other. Change the codec's stride."
        )
    if wanted > stride:
        return nn.AvgPool2d(wanted // stride)
    return nn.Sequential(
        nn.Upsample(scale_factor=stride // wanted, mode="bilinear", align_corners=False),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def _head(channels: int, num_landmarks: int, activation: str) -> PointwiseConv2d:
    """A 1x1 convolution that starts where its activation's targets are nearly everywhere: at nothing."""
    head = PointwiseConv2d(channels, num_landmarks, bias=activation != "softmax")  # a softmax ignores a bias
    if head.bias is not None:
        nn.init.constant_(head.bias, math.log(_PRIOR / (1 - _PRIOR)) if activation == "sigmoid" else 0.0)
        nn.init.normal_(head.weight, std=_HEAD_STD)
    return head

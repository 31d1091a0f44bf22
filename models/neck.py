"""The neck: one width for strides 8 to 64, and context brought down to a finer map of stride 4."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Callable[[int], nn.Module]


@dataclass(frozen=True)
class FeatureMaps:
    """What the neck hands on."""

    fine: Tensor  # (B, C_fine, H/4, W/4)
    levels: tuple[Tensor, ...]  # L maps (B, C, H/s, W/s), s = 8, 16, 32, 64


def conv_norm_act(in_channels: int, out_channels: int, *, stride: int = 1, norm: Norm) -> nn.Sequential:
    """3x3 convolution, normalisation and ReLU."""
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, norm(out_channels), nn.ReLU(inplace=True))


class ExpandingPath(nn.Module):
    """The expanding path of a UNet (Ronneberger et al., 2015) over strides 32 to 4.

    Each level concatenates the enlarged coarser map with the backbone's own and mixes them by two 3x3
    convolutions. A map of the backbone that is wider than its level is narrowed first, so the path's cost
    does not grow with the backbone's. The fine map has its own, usually smaller, width. ``norm`` makes the
    normalisation of a number of channels.
    """

    def __init__(
        self, in_channels: Sequence[int], embed_dim: int, *, fine_dim: int, norm: Norm = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        widths = [fine_dim, *[embed_dim] * (len(in_channels) - 2)]  # of strides 4, 8, 16
        skips = list(zip(in_channels[:-1], widths, strict=True))
        self.top = nn.Conv2d(in_channels[-1], embed_dim, 1)
        self.skips = nn.ModuleList(
            nn.Conv2d(channels, width, 1) if channels > width else nn.Identity() for channels, width in skips
        )
        self.merge = nn.ModuleList(
            nn.Sequential(
                conv_norm_act(embed_dim + min(channels, width), width, norm=norm),
                conv_norm_act(width, width, norm=norm),
            )
            for channels, width in skips
        )

    def expand(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Four maps of strides 4 to 32 -> four of strides 32 to 4, coarse to fine."""
        maps = [self.top(features[-1])]
        for feature, skip, merge in reversed(list(zip(features[:-1], self.skips, self.merge, strict=True))):
            enlarged = F.interpolate(maps[-1], size=feature.shape[-2:], mode="bilinear")
            maps.append(merge(torch.cat([enlarged, skip(feature)], 1)))
        return maps


class UNetNeck(ExpandingPath):
    """The expanding path with a level of stride 64, for what reads several levels."""

    def __init__(
        self, in_channels: Sequence[int], embed_dim: int, *, fine_dim: int, norm: Norm = nn.BatchNorm2d
    ) -> None:
        super().__init__(in_channels, embed_dim, fine_dim=fine_dim, norm=norm)
        self.coarsest = conv_norm_act(embed_dim, embed_dim, stride=2, norm=norm)

    def forward(self, features: Sequence[Tensor]) -> FeatureMaps:
        """Four maps of strides 4 to 32 -> the fine map and the levels of strides 8 to 64."""
        maps = self.expand(features)
        return FeatureMaps(fine=maps[-1], levels=(*maps[-2::-1], self.coarsest(maps[0])))

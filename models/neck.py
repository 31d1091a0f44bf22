"""Necks: one width for strides 8 to 64, and context brought down to a finer map of stride 4."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class FeatureMaps:
    """What the neck hands on."""

    fine: Tensor  # (B, C_fine, H/4, W/4)
    levels: tuple[Tensor, ...]  # L maps (B, C, H/s, W/s), s = 8, 16, 32, 64


def conv_norm_act(
    in_channels: int, out_channels: int, *, stride: int = 1, group_norm: bool = True
) -> nn.Sequential:
    """3x3 convolution, GroupNorm (which does not mix the cases of a batch) or BatchNorm, and ReLU."""
    norm = nn.GroupNorm(out_channels // 8, out_channels) if group_norm else nn.BatchNorm2d(out_channels)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False), norm, nn.ReLU(inplace=True)
    )


class UNetNeck(nn.Module):
    """The expanding path of a UNet (Ronneberger et al., 2015) over strides 32 to 4, with a stride-64 level.

    Each level concatenates the enlarged coarser map with the backbone's own and mixes them by two 3x3
    convolutions. A map of the backbone that is wider than its level is narrowed first, so the neck's cost
    does not grow with the backbone's. The fine map has its own, usually smaller, width. BatchNorm learns
    faster here than GroupNorm; ``group_norm`` is for batches under 8.
    """

    def __init__(
        self, in_channels: Sequence[int], embed_dim: int, *, fine_dim: int, group_norm: bool = False
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
                conv_norm_act(embed_dim + min(channels, width), width, group_norm=group_norm),
                conv_norm_act(width, width, group_norm=group_norm),
            )
            for channels, width in skips
        )
        self.coarsest = conv_norm_act(embed_dim, embed_dim, stride=2, group_norm=group_norm)

    def forward(self, features: Sequence[Tensor]) -> FeatureMaps:
        """Four maps of strides 4 to 32 -> the fine map and the levels of strides 8 to 64."""
        maps = [self.top(features[-1])]  # coarse to fine
        for feature, skip, merge in reversed(list(zip(features[:-1], self.skips, self.merge, strict=True))):
            enlarged = F.interpolate(maps[-1], size=feature.shape[-2:], mode="bilinear")
            maps.append(merge(torch.cat([enlarged, skip(feature)], 1)))
        return FeatureMaps(fine=maps[-1], levels=(*maps[-2::-1], self.coarsest(maps[0])))


class PyramidNeck(nn.Module):
    """Top-down feature pyramid (Lin et al., 2017) over strides 4 to 32, with a stride-64 level above.

    The fine map has its own, usually smaller, width and passes ``fine_depth`` further 3x3 convolutions, since
    heatmaps and ROI windows are read there.
    """

    def __init__(
        self, in_channels: Sequence[int], embed_dim: int, *, fine_dim: int, fine_depth: int = 2
    ) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(channels, embed_dim, 1) for channels in in_channels[1:])
        self.coarsest = conv_norm_act(embed_dim, embed_dim, stride=2)
        self.smooth = nn.ModuleList(conv_norm_act(embed_dim, embed_dim) for _ in in_channels[1:])
        self.fine_lateral = nn.Conv2d(in_channels[0], fine_dim, 1)
        self.fine_context = nn.Conv2d(embed_dim, fine_dim, 1)
        self.fine = nn.Sequential(*(conv_norm_act(fine_dim, fine_dim) for _ in range(fine_depth)))

    def forward(self, features: Sequence[Tensor]) -> FeatureMaps:
        """Four maps of strides 4 to 32 -> the fine map and the levels of strides 8 to 64."""
        maps = [lateral(feature) for lateral, feature in zip(self.laterals, features[1:], strict=True)]
        for index in range(len(maps) - 1, 0, -1):
            maps[index - 1] = _add_upsampled(maps[index - 1], maps[index])
        levels = [smooth(m) for smooth, m in zip(self.smooth, maps, strict=True)]
        fine = _add_upsampled(self.fine_lateral(features[0]), self.fine_context(levels[0]))
        return FeatureMaps(fine=self.fine(fine), levels=(*levels, self.coarsest(maps[-1])))


def _add_upsampled(fine: Tensor, coarse: Tensor) -> Tensor:
    return fine + F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear")


def create_neck(
    name: str, in_channels: Sequence[int], embed_dim: int, *, fine_dim: int, group_norm: bool
) -> UNetNeck | PyramidNeck:
    """The neck called "unet" or "pyramid", which has GroupNorm always; ValueError for another name."""
    if name == "unet":
        return UNetNeck(in_channels, embed_dim, fine_dim=fine_dim, group_norm=group_norm)
    if name == "pyramid":
        return PyramidNeck(in_channels, embed_dim, fine_dim=fine_dim)
    raise ValueError(f"neck {name!r}, expected 'unet' or 'pyramid'. Change model.neck in the config.")

"""Feature pyramid neck: one width for all strides, and context brought down to the fine map."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class FeatureMaps:
    """What the neck hands on."""

    fine: Tensor  # (B, C_fine, H/4, W/4)
    levels: tuple[Tensor, ...]  # L maps (B, C, H/s, W/s), s = 8, 16, 32, 64


def conv_norm_act(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, GroupNorm (which does not mix the cases of a batch) and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.GroupNorm(out_channels // 8, out_channels),
        nn.ReLU(inplace=True),
    )


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

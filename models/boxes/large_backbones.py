"""timm's Swin and FocalNet, computing what the published detectors' backbones compute."""

from collections.abc import Sequence
from typing import Any

import torch
from timm.models.swin_transformer import SwinTransformerBlock, window_partition, window_reverse
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbone import TimmBackbone

_FREE = -100.0  # what is added to the attention between regions that only the shift brought together
_PATCH = 4  # pixels


class PaddedSwin(TimmBackbone):
    """A Swin whose maps are padded to whole windows before they are shifted, as torchvision's are.

    timm shifts first and pads then: the same only where a map is a multiple of the window.
    """

    def __init__(
        self,
        name: str,
        *,
        in_channels: int = 3,
        pretrained: bool = False,
        weights: str | None = None,
        norm: str = "native",
        frozen: Sequence[str] = (),
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            name,
            in_channels=in_channels,
            pretrained=pretrained,
            weights=weights,
            norm=norm,
            frozen=frozen,
            options={"always_partition": True, "strict_img_size": False} | dict(options or {}),
        )
        for module in self.features.modules():
            if isinstance(module, SwinTransformerBlock):
                module.__class__ = PaddedBlock


class PaddedBlock(SwinTransformerBlock):
    """A Swin block (Liu et al., 2021) that pads, shifts, attends in windows, shifts back and crops."""

    def _attn(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C). A side of one window is not shifted."""
        height, width = x.shape[1:3]
        window = self.window_size
        x = F.pad(x, (0, 0, 0, -width % window[1], 0, -height % window[0]))
        padded = x.shape[1:3]
        shift = [s if p > w else 0 for s, p, w in zip(self.shift_size, padded, window, strict=True)]
        if any(shift):
            x = torch.roll(x, (-shift[0], -shift[1]), (1, 2))
        windows = window_partition(x, window).flatten(1, 2)  # (B * windows, cells, C)
        windows = self.attn(windows, mask=_region_mask(x, window, shift) if any(shift) else None)
        x = window_reverse(windows.unflatten(1, window), window, *padded)
        if any(shift):
            x = torch.roll(x, (shift[0], shift[1]), (1, 2))
        return x[:, :height, :width].contiguous()


def _region_mask(x: Tensor, window: tuple[int, int], shift: list[int]) -> Tensor:
    """(windows, cells, cells): ``_FREE`` between cells that only the shift brought into one window."""
    bands = []
    for side, width, step in zip(x.shape[1:3], window, shift, strict=True):
        index = torch.arange(side, device=x.device)
        bands.append((index >= side - width).int() + (index >= side - step).int() if step else 0 * index)
    regions = (bands[0][:, None] * 3 + bands[1])[None, :, :, None]
    cells = window_partition(regions, window).flatten(1)  # (windows, cells)
    apart = cells[:, None] != cells[:, :, None]
    return torch.zeros(apart.shape, dtype=x.dtype, device=x.device).masked_fill(apart, _FREE)


class NormedFocalNet(TimmBackbone):
    """A FocalNet (Yang et al., 2022) with a LayerNorm on each of its last three maps."""

    def __init__(
        self,
        name: str,
        *,
        in_channels: int = 3,
        pretrained: bool = False,
        weights: str | None = None,
        norm: str = "native",
        frozen: Sequence[str] = (),
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            name,
            in_channels=in_channels,
            pretrained=pretrained,
            weights=weights,
            norm=norm,
            frozen=frozen,
            options={"normalize_modulator": True} | dict(options or {}),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in self.channels[1:])

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, C, H, W) -> maps of strides 4, 8, 16, 32; sides are padded to whole patches."""
        height, width = images.shape[-2:]
        first, *maps = super().forward(F.pad(images, (0, -width % _PATCH, 0, -height % _PATCH)))
        normed = [
            norm(m.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) for norm, m in zip(self.norms, maps, strict=True)
        ]
        return first, *normed

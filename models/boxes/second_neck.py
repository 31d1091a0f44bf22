"""The second neck: the encoder's levels mixed down and up again by RepVGG-like blocks."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.boxes.masked import ValidBatchNorm, masked

_GROUPS = 4
_SQUEEZE = 16
_BLOCKS = 3


class ConvolutionNorm(nn.Module):
    """A convolution without bias and BatchNorm, folded into one convolution where ``fold`` allows it."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm = ValidBatchNorm(out_channels)
        nn.init.kaiming_uniform_(self.convolution.weight, a=1)

    def forward(self, maps: Tensor, before: Tensor | None, after: Tensor | None) -> Tensor:
        """``before`` and ``after``: what the images cover of the maps that come in and go out."""
        if self.convolution.kernel_size != (1, 1):
            maps = masked(maps, before)
        return self.norm(self.convolution(maps), after)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution that does the same in evaluation."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight * (norm.running_var + norm.eps).rsqrt()
        return self.convolution.weight * gain[:, None, None, None], norm.bias - norm.running_mean * gain


class ContextGate(nn.Module):
    """A weight for each channel from a weighted mean of the whole map (after Cao et al., GCNet, 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)
        self.squeeze = nn.Conv2d(channels, channels // _SQUEEZE, 1, bias=False)
        self.excite = nn.Conv2d(channels // _SQUEEZE, channels, 1, bias=False)
        for convolution in (self.score, self.squeeze, self.excite):
            nn.init.kaiming_uniform_(convolution.weight, a=1)

    def forward(self, maps: Tensor, covered: Tensor | None) -> Tensor:
        """(B, C, h, w) -> the same times a weight a channel; padding has no say."""
        scores = self.score(maps).flatten(2)  # (B, 1, h * w)
        if covered is not None:
            scores = scores.masked_fill(covered.flatten(2) == 0, float("-inf"))
        context = maps.flatten(2) @ scores.softmax(-1).transpose(1, 2)  # (B, C, 1)
        return maps * self.excite(self.squeeze(context[..., None]).relu()).sigmoid()


class RepBlock(nn.Module):
    """A 3x3 and a 1x1 grouped convolution side by side (Ding et al., RepVGG, 2021), a gate, a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide = ConvolutionNorm(channels, channels, 3, groups=_GROUPS)
        self.narrow = ConvolutionNorm(channels, channels, 1, groups=_GROUPS)
        self.gate = ContextGate(channels)

    def forward(self, maps: Tensor, covered: Tensor | None, fold: bool) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w). ``fold``: both convolutions and their norms as one."""
        if fold:
            weight, bias = self.wide.folded()
            point_weight, point_bias = self.narrow.folded()
            weight = weight + F.pad(point_weight, (1, 1, 1, 1))
            read = F.conv2d(masked(maps, covered), weight, bias + point_bias, padding=1, groups=_GROUPS)
        else:
            read = self.wide(maps, covered, covered) + self.narrow(maps, covered, covered)
        return self.gate(F.silu(read), covered) + maps


class MixBlock(nn.Module):
    """Two concatenated maps brought to one width twice; one copy goes through the RepVGG-like blocks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deep = ConvolutionNorm(2 * channels, channels, 1)
        self.plain = ConvolutionNorm(2 * channels, channels, 1)
        self.blocks = nn.ModuleList(RepBlock(channels) for _ in range(_BLOCKS))

    def forward(self, maps: Tensor, covered: Tensor | None, fold: bool) -> Tensor:
        """(B, 2 C, h, w) -> (B, C, h, w)."""
        deep = F.silu(_apply(self.deep, maps, covered, fold))
        for block in self.blocks:
            deep = block(deep, covered, fold)
        return deep + F.silu(_apply(self.plain, maps, covered, fold))


class SecondNeck(nn.Module):
    """A path from coarse to fine and one back (PANet, Liu et al., 2018), BatchNorm and SiLU.

    ``fold_norms``: in evaluation the norms and the two branches of a block are folded into the convolutions,
    the same function with fewer passes over the maps.
    """

    def __init__(self, channels: int, num_levels: int, *, fold_norms: bool) -> None:
        super().__init__()
        steps = num_levels - 1
        self.fold_norms = fold_norms
        self.lateral = nn.ModuleList(ConvolutionNorm(channels, channels, 1) for _ in range(steps))
        self.down = nn.ModuleList(MixBlock(channels) for _ in range(steps))
        self.stride = nn.ModuleList(ConvolutionNorm(channels, channels, 3, stride=2) for _ in range(steps))
        self.up = nn.ModuleList(MixBlock(channels) for _ in range(steps))

    def forward(self, levels: Sequence[Tensor], covered: Sequence[Tensor] | None) -> list[Tensor]:
        """L maps (B, C, h, w), fine to coarse -> L maps of the same shapes."""
        fold = self.fold_norms and not self.training
        masks = list(covered) if covered is not None else [None] * len(levels)
        kept, low = list(levels), levels[-1]
        for step in reversed(range(len(self.lateral))):
            kept[step + 1] = F.silu(_apply(self.lateral[step], low, masks[step + 1], fold))
            enlarged = F.interpolate(kept[step + 1], levels[step].shape[-2:], mode="nearest")
            low = self.down[step](torch.cat([enlarged, levels[step]], 1), masks[step], fold)
        results = [low]
        for step in range(len(self.stride)):
            reduced = F.silu(self._reduced(step, results[-1], masks, fold))
            results.append(self.up[step](torch.cat([reduced, kept[step + 1]], 1), masks[step + 1], fold))
        return results

    def _reduced(self, step: int, maps: Tensor, masks: Sequence[Tensor | None], fold: bool) -> Tensor:
        module = cast(ConvolutionNorm, self.stride[step])
        if not fold:
            return module(maps, masks[step], masks[step + 1])
        weight, bias = module.folded()
        return F.conv2d(masked(maps, masks[step]), weight, bias, stride=2, padding=1)


def _apply(module: nn.Module, maps: Tensor, covered: Tensor | None, fold: bool) -> Tensor:
    """A 1x1 convolution and its norm."""
    if not fold:
        return module(maps, covered, covered)
    weight, bias = cast(ConvolutionNorm, module).folded()
    return F.conv2d(maps, weight, bias)

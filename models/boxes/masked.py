"""Layers that see only what an image covers of its canvas, so that padding and batch mates change nothing."""

from typing import Any

import torch
from torch import Tensor, nn

_SPATIAL = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def masked(maps: Tensor, covered: Tensor | None) -> Tensor:
    """``maps`` (B, C, h, w) with 0 where ``covered`` (B, 1, h, w) is 0; as they are without a mask."""
    return maps if covered is None else maps * covered.to(maps.dtype)


def valid_mean(values: Tensor, covered: Tensor | None) -> Tensor:
    """(B, n, C) -> (B, 1, C): the mean over the tokens where ``covered`` (B, n, 1) is 1, or over all."""
    if covered is None:
        return values.mean(1, keepdim=True)
    return (values * covered.to(values.dtype)).sum(1, keepdim=True) / covered.sum(1, keepdim=True)


def group_norm(norm: nn.GroupNorm, maps: Tensor, covered: Tensor | None) -> Tensor:
    """GroupNorm with the statistics of the covered cells; padding comes out as 0."""
    if covered is None:  # not through the module, which refuses a map of one cell
        return torch.group_norm(maps, norm.num_groups, norm.weight, norm.bias, norm.eps)
    groups = maps.to(torch.promote_types(maps.dtype, torch.float32)).unflatten(1, (norm.num_groups, -1))
    weights = covered[:, None].to(groups.dtype)  # (B, 1, 1, h, w); groups are (B, G, C / G, h, w)
    count = weights.sum((2, 3, 4), keepdim=True) * groups.shape[2]
    mean = (groups * weights).sum((2, 3, 4), keepdim=True) / count
    variance = ((groups - mean).square() * weights).sum((2, 3, 4), keepdim=True) / count
    normed = ((groups - mean) * (variance + norm.eps).rsqrt()).flatten(1, 2)
    scaled = normed * norm.weight[:, None, None] + norm.bias[:, None, None]
    return masked(scaled.to(maps.dtype), covered)


class ValidBatchNorm(nn.BatchNorm2d):
    """BatchNorm whose statistics, in training, are those of the covered cells.

    A batch of one image never goes through torch's own in training. On a CPU that gives wrong gradients where
    the gradient that comes back was made by transposing such a batch (torch 2.14), and it refuses a map of
    one cell.
    """

    def forward(self, input: Tensor, covered: Tensor | None = None) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w); ``covered`` (B, 1, h, w) counts in training only."""
        if not self.training or (covered is None and len(input) > 1):
            return super().forward(input)
        if covered is None:
            covered = torch.ones_like(input[:, :1])
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        weights = covered.to(values.dtype)
        count = weights.sum()
        mean = (values * weights).sum((0, 2, 3)) / count
        variance = ((values - mean[:, None, None]).square() * weights).sum((0, 2, 3)) / count
        self._remember(mean.detach(), (variance * count / (count - 1).clamp(min=1)).detach())
        gain = self.weight * (variance + self.eps).rsqrt()
        return ((values - mean[:, None, None]) * gain[:, None, None] + self.bias[:, None, None]).to(
            input.dtype
        )

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


class PaddingMask:
    """Puts 0 into the padding before every convolution and pooling of a backbone that looks around a cell.

    With zeros there, a cell at the border of an image reads what it would read at the border of a canvas of
    the image's own size. A backbone that mixes cells in another way (windows, means of a whole map) is not
    freed from its padding by this.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self._sizes: Tensor | None = None
        self._canvas: tuple[int, int] = (0, 0)
        self._masks: dict[tuple[int, int], Tensor] = {}
        for module in backbone.modules():
            if isinstance(module, _SPATIAL) and module.kernel_size not in (1, (1, 1)):
                module.register_forward_pre_hook(self._apply)

    def set(self, sizes: Tensor | None, canvas: tuple[int, int]) -> None:
        """``sizes`` (B, 2) width and height of the images; None: nothing is padded."""
        self._sizes, self._canvas, self._masks = sizes, canvas, {}

    def _apply(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return None if self._sizes is None else (masked(inputs[0], self._mask(inputs[0])), *inputs[1:])

    def _mask(self, maps: Tensor) -> Tensor:
        """(B, 1, h, w): the cells that hold a pixel of their image."""
        assert self._sizes is not None
        shape = (int(maps.shape[-2]), int(maps.shape[-1]))
        if shape not in self._masks:
            steps = [-(-side // cells) for side, cells in zip(self._canvas, shape, strict=True)]
            rows, columns = (torch.arange(cells, device=maps.device) for cells in shape)
            widths, heights = self._sizes[:, 0, None], self._sizes[:, 1, None]
            mask = (rows * steps[0] < heights)[:, :, None] & (columns * steps[1] < widths)[:, None]
            self._masks[shape] = mask[:, None].to(maps.dtype)
        return self._masks[shape]

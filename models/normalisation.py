"""From grey values in [0, 1] to what the layers of a model were made for: callables without weights."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Normalisation = Callable[[Tensor], Tensor]  # (B, 1, H, W) in [0, 1] -> (B, 1, H, W)


@dataclass(frozen=True)
class FixedScale:
    """Less a mean, in units of a standard deviation: the same two numbers for all images."""

    mean: float = 0.45
    std: float = 0.25

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, H, W)."""
        return (images - self.mean) / self.std


@dataclass(frozen=True)
class LocalContrast:
    """Less the mean around, in units of the standard deviation around.

    Exposure cancels out, between images and between the dark soft tissue and the bright bone of one (after
    Pinto et al., 2008). The statistics are those of a square of ``window`` cells, 64 of which make the height
    of an image; they are taken once a cell and interpolated. ``floor`` is added to the standard deviation, in
    squares, so that a film's grain is not enlarged to structure.
    """

    window: int = 5  # 8 % of the height: 19 mm on a cephalogram
    floor: float = 0.02  # five of 255 grey levels

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, H, W)."""
        height, width = images.shape[-2:]
        moments = F.avg_pool2d(torch.cat([images, images.square()], 1), max(height // 64, 1))
        moments = F.avg_pool2d(moments, self.window, 1, self.window // 2, count_include_pad=False)
        mean, square = moments.split(1, dim=1)
        spread = ((square - mean.square()).clamp(min=0.0) + self.floor**2).sqrt()
        around = torch.cat([mean, spread], 1)
        mean, spread = F.interpolate(around, (height, width), mode="bilinear").split(1, dim=1)
        return (images - mean) / spread


@dataclass(frozen=True)
class PerChannel:
    """Less a mean and in units of a standard deviation of each colour; grey counts as three equal colours.

    The defaults are those of ImageNet.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 1 or 3, H, W) -> (B, 3, H, W)."""
        mean, std = (images.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (images.expand(-1, 3, -1, -1) - mean) / std

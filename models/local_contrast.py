"""Local contrast: what an image shows, whatever its exposure."""

import torch
from torch import Tensor
from torch.nn import functional as F

_ROWS = 64  # of cells in the height of an image
_CELLS = 5  # of the window's side: 8 % of the height, 19 mm on a cephalogram
_FLOOR = 0.02  # five of 255 grey levels: below it lies a film's grain


def local_contrast(images: Tensor) -> Tensor:
    """Grey values less their mean around, in units of their standard deviation around.

    (B, 1, H, W) in [0, 1] -> the same shape. Brightness and contrast of an image, and of its dark soft tissue
    beside its bright bone, cancel out (after Pinto et al., 2008). Statistics are taken in a coarse grid of
    cells and interpolated.
    """
    height, width = images.shape[-2:]
    cell = max(height // _ROWS, 1)
    moments = F.avg_pool2d(torch.cat([images, images.square()], 1), cell)
    window = {"stride": 1, "padding": _CELLS // 2, "count_include_pad": False}
    mean, square = F.avg_pool2d(moments, _CELLS, **window).split(1, dim=1)
    spread = ((square - mean.square()).clamp(min=0.0) + _FLOOR**2).sqrt()
    around = F.interpolate(
        torch.cat([mean, spread], 1), (height, width), mode="bilinear", align_corners=False
    )
    return (images - around[:, :1]) / around[:, 1:]

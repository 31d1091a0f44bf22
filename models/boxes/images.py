"""Images as the backbone sees them: normalised, in the corner of a canvas, zero around them."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.normalisation import Normalisation

MULTIPLE = 32  # pixels: the sides of a canvas are multiples of it


@dataclass(frozen=True)
class Canvas:
    """B images on a canvas. ``whole``: none has padding, known without a look at a tensor."""

    images: Tensor  # (B, C, H, W) normalised, 0 in the padding
    sizes: Tensor  # (B, 2) int64, width and height of each image
    whole: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.images.shape[-2]), int(self.images.shape[-1])


def on_canvas(images: Tensor, sizes: Tensor | None, normalise: Normalisation) -> Canvas:
    """(B, C, H, W) images in [0, 1], of the given (B, 2) widths and heights, else as large as the tensor."""
    height, width = images.shape[-2:]
    right, below = -width % MULTIPLE, -height % MULTIPLE
    whole = not (right or below)
    if sizes is None:
        sizes = torch.tensor([[width, height]], device=images.device).expand(images.shape[0], -1)
    elif torch.compiler.is_exporting():
        whole = False
    elif whole:
        whole = bool((sizes == sizes.new_tensor([width, height])).all())
    images = normalise(images)
    if right or below:
        images = F.pad(images, (0, right, 0, below))
    return Canvas(images if whole else _blanked(images, sizes), sizes, whole)


def _blanked(images: Tensor, sizes: Tensor) -> Tensor:
    """0 right of and below every image."""
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[-2:])
    inside = (rows < sizes[:, 1, None])[:, :, None] & (columns < sizes[:, 0, None])[:, None]  # (B, H, W)
    return images * inside[:, None].to(images.dtype)

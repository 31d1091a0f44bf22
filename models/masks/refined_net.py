"""Masks whose edges are looked at again, at full resolution, where each class is least sure."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbone import STRIDES, TimmBackbone, require_multiple
from models.masks.mask_model import MaskOutputs, MaskTargets, enlarged
from models.masks.neck_net import NeckMaskNet
from models.normalisation import Normalisation
from models.precision import full_precision

STRIDE = 2  # of the refined maps, in pixels of the canvas
_REACH = 5  # pixels of the canvas around a point that its token sees
_FLAT = 0.05  # added to the deviation of what lies around a point: noise of a flat place is no edge


class RefinedMaskNet(NeckMaskNet):
    """``NeckMaskNet`` on a reduced image, whose logits are corrected where each class is least sure.

    Unsure is close to probability 1/2 on the coarse maps, enlarged to stride 2: the ``points`` least sure
    cells of every class are chosen, as in PointRend (Kirillov et al., 2020). What corrects the logit of one
    is made of the neck's finest map there, the coarse logit, the class, and 11x11 pixels of the canvas
    around. All other cells stay as they were, and before training all do.

    The canvas is ``reduction`` times as long as what backbone and neck see. tools/refine_masks.py makes one
    of a trained ``NeckMaskNet``.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        backbone: TimmBackbone,
        embed_dim: int = 128,
        fine_dim: int = 64,
        reduction: int = 3,
        points: int = 4096,
        width: int = 64,
        attribute_values: Sequence[int] = (),
        normalise: Normalisation | None = None,
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            backbone=backbone,
            embed_dim=embed_dim,
            fine_dim=fine_dim,
            attribute_values=attribute_values,
            normalise=normalise,
        )
        self.reduction, self.points = reduction, points
        self.edges = EdgePoints(num_classes, fine_dim, width)

    def forward(self, images: Tensor, targets: MaskTargets | None = None) -> MaskOutputs:
        """(B, C, H, W) images in [0, 1] -> (B, K, H / 2, W / 2) logits. ``targets`` are not used."""
        fine, logits, attributes = self.coarse(images)
        with full_precision(images):
            flat = logits.flatten(2)
            index = self._least_sure(flat).indices
            change = self.edges(fine, images.float().mean(1), logits, index)
            refined = flat.scatter_add(-1, index, change).reshape_as(logits)
        return MaskOutputs(refined, STRIDE, attributes)

    def undecided(self, images: Tensor, rounding: float) -> Tensor:
        """(B, K, H / 2, W / 2) bool: cells that rounding brings into the least sure ones, or out of them."""
        logits = self.coarse(images)[1]
        last = self._least_sure(logits.flatten(2)).values.amax(-1)  # (B, K)
        return (logits.abs() - last[..., None, None]).abs() <= rounding

    def _least_sure(self, flat: Tensor) -> Any:
        """Of (B, K, cells) the chosen ones: ``values``, how far from 0, and ``indices``, (B, K, N) each."""
        return flat.abs().topk(min(self.points, flat.shape[-1]), dim=-1, largest=False, sorted=False)

    def coarse(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """(B, C, H, W) images -> the neck's finest map, (B, K, H / 2, W / 2) logits, and the attributes'."""
        require_multiple(images, STRIDES[-1])
        height, width = images.shape[-2:]
        step = STRIDES[-1]
        seen = [max(round(side / self.reduction / step), 1) * step for side in (height, width)]
        maps = self.backbone(self.normalise(F.interpolate(images, seen, mode="area")))
        fine = self.neck.expand(maps)[-1]
        with full_precision(images):
            fine = fine.float()
            logits = enlarged(self.head(fine), (height // STRIDE, width // STRIDE))
        attributes = () if self.attributes is None else self.attributes(maps[-1])
        return fine, logits, attributes


class EdgePoints(nn.Module):
    """What is added to the logits of chosen cells, from what lies there and around."""

    def __init__(self, num_classes: int, fine_dim: int, width: int) -> None:
        super().__init__()
        seen = fine_dim + 1 + num_classes + (2 * _REACH + 1) ** 2
        self.token = nn.Sequential(nn.Linear(seen, width), nn.LayerNorm(width), nn.GELU())
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.last = nn.Linear(width, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, fine: Tensor, grey: Tensor, logits: Tensor, index: Tensor) -> Tensor:
        """(B, K, N) corrections.

        fine: (B, C, h, w); grey: (B, H, W) the canvas in [0, 1]; logits: (B, K, H / 2, W / 2); index:
        (B, K, N) flat numbers of cells of the logits.
        """
        batch, classes, count = index.shape
        own = logits.flatten(2).gather(-1, index)[..., None]
        names = torch.eye(classes, device=index.device)[None, :, None].expand(batch, -1, count, -1)
        places = _read(fine, index, logits.shape[-2:])
        seen = torch.cat([places, own, names, _around(grey, index, logits.shape[-1])], -1)
        return self.last(self.hidden(self.token(seen)))[..., 0]


def _read(maps: Tensor, index: Tensor, size: torch.Size) -> Tensor:
    """(B, C, h, w) read at the centres of cells (B, K, N) of a (height, width) grid -> (B, K, N, C)."""
    height, width = size
    x = (index % width + 0.5) / width * 2.0 - 1.0
    y = (index // width + 0.5) / height * 2.0 - 1.0
    grid = torch.stack([x, y], -1).to(maps.dtype)
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=False).permute(0, 2, 3, 1)


def _around(grey: Tensor, index: Tensor, width: int) -> Tensor:
    """(B, K, N, 121) the square of (B, H, W) canvases around cells, each less its mean by its deviation."""
    mean, deviation = grey.mean((1, 2)), grey.std((1, 2)) + 1e-6
    scaled = (grey - mean[:, None, None]) / deviation[:, None, None]
    padded = F.pad(scaled, [_REACH] * 4, mode="replicate")
    steps = torch.arange(2 * _REACH + 1, device=grey.device)
    offsets = (steps[:, None] * padded.shape[-1] + steps).flatten()
    corner = index // width * STRIDE * padded.shape[-1] + index % width * STRIDE  # on the padded canvas
    places = (corner[..., None] + offsets).flatten(1)
    squares = padded.flatten(1).gather(1, places).reshape(*index.shape, -1)
    squares = squares - squares.mean(-1, keepdim=True)
    return squares / (squares.std(-1, keepdim=True) + _FLAT)

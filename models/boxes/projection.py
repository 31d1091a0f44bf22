"""From tokens to what can be scored and boxed: one projection, and the anchor box of every cell."""

import torch
from torch import Tensor, nn

from models.boxes.geometry import logit
from models.boxes.pyramid import Pyramid

_ANCHOR_SIZE = 0.05  # of the image, doubled with every level
_LARGEST = 0.95  # of the image: from the sixth level on, where doubled it would have no logit to move from
_INSIDE = 0.01  # anchors nearer to 0 or 1 than this are not used


def anchors(pyramid: Pyramid, *, border_cells: bool) -> tuple[Tensor, Tensor]:
    """(B, S, 4) logits of each token's anchor box, infinite where it is not used; (B, S, 1) bool, used.

    Padding is not used. Without ``border_cells`` neither are cells nearer than 1 % to the border of their
    image, which is what the published weights expect.
    """
    sides = (_ANCHOR_SIZE * 2.0 ** pyramid.level.to(pyramid.counts))[:, None].expand(*pyramid.centres.shape)
    if border_cells:
        sides, used = sides.clamp(max=_LARGEST), ~pyramid.padded[..., None]
    else:
        lowest = pyramid.centres.minimum(sides).amin(-1, keepdim=True)
        highest = pyramid.centres.maximum(sides).amax(-1, keepdim=True)
        used = (lowest > _INSIDE) & (highest < 1.0 - _INSIDE) & ~pyramid.padded[..., None]
    boxes = torch.cat([pyramid.centres, sides], -1).masked_fill(~used, 0.5)
    return logit(boxes, 0.0).masked_fill(~used, float("inf")), used


class TokenProjection(nn.Module):
    """Linear layer and LayerNorm; tokens whose anchor is not used go in as 0 and so all come out alike."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(embed_dim, embed_dim)
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, tokens: Tensor, used: Tensor) -> Tensor:
        """(B, S, C) tokens and (B, S, 1) bool -> (B, S, C)."""
        return self.norm(self.linear(tokens.masked_fill(~used, 0.0)))

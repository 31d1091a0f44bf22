"""Small classifiers on the encoder: what is known of a whole image, such as sex or side."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.precision import full_precision

_CELLS = 4  # a side of the grid that the encoder's map is pooled to


class AttributeHeads(nn.Module):
    """One linear classifier an attribute, on the encoder's coarsest map pooled to a grid of 4 x 4 cells.

    The cells keep where things are: a mean over the whole map, or over the masks' logits, is the same for an
    image and its mirror image, and could not tell a left from a right hand.
    """

    def __init__(self, channels: int, num_values: Sequence[int], width: int = 64) -> None:
        super().__init__()
        if any(count < 2 for count in num_values):
            raise ValueError(f"attributes of {list(num_values)} values: expected at least 2 each.")
        self.narrow = nn.Conv2d(channels, width, 1)
        self.pool = nn.AdaptiveAvgPool2d(_CELLS)
        self.heads = nn.ModuleList(nn.Linear(width * _CELLS**2, count) for count in num_values)

    def forward(self, coarsest: Tensor) -> tuple[Tensor, ...]:
        """(B, C, h, w) -> logits (B, values) an attribute."""
        with full_precision(coarsest):
            cells = torch.relu(self.pool(self.narrow(coarsest.float()))).flatten(1)
            return tuple(head(cells) for head in self.heads)

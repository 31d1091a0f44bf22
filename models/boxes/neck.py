"""The first neck: the backbone's maps at one width, and coarser levels below them."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from models.boxes.masked import group_norm, masked

_GROUPS = 32


class BoxNeck(nn.Module):
    """1x1 convolution and GroupNorm a map; each extra level is a 3x3 convolution of stride 2 below the last.

    The first extra level reads the backbone's last map, the next ones read the level above. No activation.
    """

    def __init__(self, channels: Sequence[int], embed_dim: int, *, extra_levels: int = 1) -> None:
        super().__init__()
        self.num_maps = len(channels)
        convolutions = [nn.Conv2d(width, embed_dim, 1, bias=False) for width in channels]
        below = [channels[-1], *[embed_dim] * extra_levels]
        convolutions += [nn.Conv2d(w, embed_dim, 3, 2, 1, bias=False) for w in below[:extra_levels]]
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, embed_dim) for _ in convolutions)
        for convolution in convolutions:
            nn.init.xavier_uniform_(convolution.weight)

    def forward(self, maps: Sequence[Tensor], covered: Sequence[Tensor] | None) -> list[Tensor]:
        """Maps (B, C_l, h, w) of the backbone -> L levels (B, C, h, w).

        ``covered``: L masks (B, 1, h, w); where given, padding takes no part in the convolutions and the
        statistics, and comes out as 0.
        """
        levels: list[Tensor] = []
        masks = covered or [None] * len(self.convolutions)
        for index, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            if index < self.num_maps:
                read = maps[index]
            else:
                read = masked(maps[-1] if index == self.num_maps else levels[-1], masks[index - 1])
            levels.append(group_norm(cast(nn.GroupNorm, norm), convolution(read), masks[index]))
        return levels


def level_strides(strides: Sequence[int], extra_levels: int) -> list[int]:
    """Strides of the levels: those of the backbone's maps, doubled for each extra level."""
    return [*strides, *(strides[-1] * 2 ** (n + 1) for n in range(extra_levels))]


def level_shapes(maps: Sequence[Tensor], extra_levels: int) -> list[tuple[int, int]]:
    """(rows, columns) of the levels that the neck will make of ``maps``."""
    shapes = [(int(m.shape[-2]), int(m.shape[-1])) for m in maps]
    for _ in range(extra_levels):
        rows, columns = shapes[-1]
        shapes.append(((rows + 1) // 2, (columns + 1) // 2))
    return shapes

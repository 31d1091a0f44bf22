"""Deformable attention into the tokens of a pyramid, with a reference point or box for every level."""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from models.boxes.pyramid import Pyramid, wide
from models.deformable_attention import DeformableAttention
from models.position import sampling_grid
from models.precision import full_precision

_BOX_SHARE = 0.5  # of a box's size: how far the outermost of the P points starts from its centre


class PyramidAttention(DeformableAttention):
    """Reads P points a head and level around references that may differ between levels.

    A reference point (x, y) is moved by offsets in cells of the level that is read, a reference box by
    offsets in parts of its size (Zhu et al., 2021, appendix A.4). Padding is read as 0. The values are
    sampled in at least float32. ``gathered``: by ``gather`` where that is faster, in evaluation on a CPU.
    """

    def __init__(
        self, embed_dim: int, num_heads: int, num_levels: int, num_points: int, *, gathered: bool
    ) -> None:
        super().__init__(embed_dim, num_heads, num_levels, num_points)
        self.gathered = gathered

    def forward(self, queries: Tensor, references: Tensor, values: Tensor, pyramid: Pyramid) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, Q, C) queries, (B, Q, L, 2 or 4) references in parts of the canvas, (B, S, C) tokens."""
        projected = self.values(values)
        if not pyramid.whole:
            projected = projected.masked_fill(pyramid.padded[..., None], 0.0)
        with full_precision(queries):
            exact = queries.to(wide(queries.dtype))
            weights = F.linear(exact, self.weights.weight, self.weights.bias)
            weights = weights.unflatten(-1, (self.num_heads, -1)).softmax(-1)  # (B, Q, heads, L * P)
            points = self._points(exact, references, pyramid)
            read = (gather if self._gathers(points) else sample)(
                projected.to(exact.dtype), points, weights, pyramid
            )
        return self.output(read)

    def _gathers(self, points: Tensor) -> bool:
        plain = not (torch.is_grad_enabled() or torch.compiler.is_compiling())
        return self.gathered and plain and points.device.type == "cpu"

    def _points(self, queries: Tensor, references: Tensor, pyramid: Pyramid) -> Tensor:
        """(B, Q, heads, L, P, 2) in parts of the canvas."""
        offsets = F.linear(queries, self.offsets.weight, self.offsets.bias)
        offsets = offsets.unflatten(-1, (self.num_heads, self.num_levels, self.num_points, 2))
        around = references[:, :, None, :, None]  # (B, Q, 1, L, 1, 2 or 4)
        if references.shape[-1] == 2:
            return around + offsets / pyramid.cells[:, None].to(offsets.dtype)
        return around[..., :2] + offsets / self.num_points * around[..., 2:] * _BOX_SHARE


def sample(values: Tensor, points: Tensor, weights: Tensor, pyramid: Pyramid) -> Tensor:
    """Weighted sums of bilinear samples: (B, Q, C).

    values (B, S, C); points (B, Q, heads, L, P, 2); weights (B, Q, heads, L * P).
    """
    batch, heads = points.shape[0], points.shape[2]
    grid = sampling_grid(points).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)  # (L, B * heads, Q, P, 2)
    shares = weights.transpose(1, 2).flatten(0, 1)[:, None].unflatten(-1, (len(pyramid.shapes), -1))
    read = values.new_zeros(())
    for index, level in enumerate(pyramid.maps(values)):  # summed at once: all samples together are large
        sampled = F.grid_sample(
            level.unflatten(1, (heads, -1)).flatten(0, 1),
            grid[index],
            padding_mode="zeros",
            align_corners=False,
        )  # (B * heads, C / heads, Q, P)
        read = read + (sampled * shares[..., index, :]).sum(-1)  # (B * heads, C / heads, Q)
    return read.unflatten(0, (batch, heads)).flatten(1, 2).transpose(1, 2)


def gather(values: Tensor, points: Tensor, weights: Tensor, pyramid: Pyramid) -> Tensor:
    """What ``sample`` gives, by sums over rows of the values: no map of samples is written down.

    All heads, levels and points of a query lie side by side, so that what is done to them is done in long
    runs. Each of the four cells around a point has a sum of its own.
    """
    batch, _, heads, levels, num_points, _ = points.shape
    columns, rows = (_of_samples(side.to(points.dtype), points) for side in pyramid.cells.unbind(-1))
    starts = torch.tensor([0, *pyramid.lengths[:-1]], device=points.device).cumsum(0)
    image = torch.arange(batch, device=points.device)[:, None, None] * values.shape[1]
    head = torch.arange(heads, device=points.device).repeat_interleave(levels * num_points)
    first = ((image + _of_samples(starts, points)) * heads + head).int()  # (B, 1, heads * L * P)
    step = (columns * heads).int()
    across = [
        (cell * heads + first, share) for cell, share in _neighbours(points[..., 0].flatten(2), columns)
    ]
    down = [
        (cell * step, share * weights.flatten(2))
        for cell, share in _neighbours(points[..., 1].flatten(2), rows)
    ]
    table = values.reshape(-1, values.shape[-1] // heads)  # (B * S * heads, C / heads)
    read = table.new_zeros(())
    for (right, right_share), (below, below_share) in product(across, down):
        read = read + F.embedding_bag(
            (right + below).view(-1, levels * num_points),
            table,
            per_sample_weights=(right_share * below_share).view(-1, levels * num_points),
            mode="sum",
        )  # (B * Q * heads, C / heads)
    return read.view(*points.shape[:2], -1)


def _of_samples(levels: Tensor, points: Tensor) -> Tensor:
    """(L,) -> (heads * L * P,): the value of the level that each sample of a query is read from."""
    return levels.repeat_interleave(points.shape[4]).repeat(points.shape[2])


def _neighbours(places: Tensor, cells: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The cell before and the cell behind each place along an axis: its number and its share of the place.

    ``places`` (B, Q, n) in parts of the axis, ``cells`` (n,) the cells that it has. Beyond them the share is
    0 and the number that of the last cell.
    """
    places = places * cells - 0.5
    low = places.floor()
    part = places - low
    none, last = torch.zeros_like(cells), cells - 1.0
    found = []
    for cell, share in ((low, 1.0 - part), (low + 1.0, part)):
        inside = cell.clamp(none, last)
        found.append((inside.int(), torch.where(inside == cell, share, 0.0)))
    return found

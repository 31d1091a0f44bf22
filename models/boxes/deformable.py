"""Deformable attention into the tokens of a pyramid, with a reference point or box for every level."""

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
    sampled in at least float32.
    """

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
            read = sample(projected.to(exact.dtype), points, weights, pyramid)
        return self.output(read)

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

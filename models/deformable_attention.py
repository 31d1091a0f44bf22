"""Multi-scale deformable attention in plain PyTorch."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.position import sampling_grid
from models.precision import full_precision


class DeformableAttention(nn.Module):
    """Each query reads P points per level and head, at learned offsets from its reference point.

    Zhu et al., Deformable DETR (2021), section 4.1. Offsets count cells of the level they are read from.
    """

    def __init__(self, embed_dim: int, num_heads: int, num_levels: int, num_points: int) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim={embed_dim} is not divisible by num_heads={num_heads}.")
        self.num_heads, self.num_levels, self.num_points = num_heads, num_levels, num_points
        self.offsets = nn.Linear(embed_dim, num_heads * num_levels * num_points * 2)
        self.weights = nn.Linear(embed_dim, num_heads * num_levels * num_points)
        self.values = nn.Linear(embed_dim, embed_dim)
        self.output = nn.Linear(embed_dim, embed_dim)
        self._reset_offsets()

    def _reset_offsets(self) -> None:
        """Head h looks along its own direction, point p at distance p + 1; all weights start equal."""
        angle = torch.arange(self.num_heads) * (2.0 * math.pi / self.num_heads)
        direction = torch.stack([angle.cos(), angle.sin()], -1)
        direction = direction / direction.abs().amax(-1, keepdim=True)
        distance = torch.arange(1, self.num_points + 1)
        star = direction[:, None, None] * distance[None, None, :, None]  # (heads, 1, P, 2)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        with torch.no_grad():
            self.offsets.bias.copy_(star.expand(-1, self.num_levels, -1, -1).flatten())

    def forward(self, queries: Tensor, references: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """(B, Q, C) queries at (B, Q, 2) normalised references read L maps (B, C, H_l, W_l) -> (B, Q, C)."""
        batch, count, _ = queries.shape
        heads, levels, num_points = self.num_heads, self.num_levels, self.num_points
        values = [self._project(m) for m in maps]  # each (B * heads, C / heads, H_l, W_l)
        with full_precision(queries):
            points, weights = self.look(queries, references, maps)
            points = points.transpose(1, 2).flatten(0, 1)  # (B * heads, Q, L, P, 2)
            weights = weights.transpose(1, 2).reshape(batch * heads, 1, count, levels * num_points)
            sampled = [
                F.grid_sample(value.float(), sampling_grid(points[:, :, level]), align_corners=False)
                for level, value in enumerate(values)
            ]  # L tensors (B * heads, C / heads, Q, P)
            read = (torch.cat(sampled, dim=-1) * weights).sum(-1)  # (B * heads, C / heads, Q)
        return self.output(read.view(batch, -1, count).transpose(1, 2))

    def _project(self, feature_map: Tensor) -> Tensor:
        height, width = feature_map.shape[-2:]
        value = self.values(feature_map.flatten(2).transpose(1, 2))  # (B, H * W, C)
        return value.transpose(1, 2).reshape(-1, value.shape[-1] // self.num_heads, height, width)

    def look(self, queries: Tensor, references: Tensor, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Where each query looks, and how it weighs what it finds there; arguments as of ``forward``.

        Returns (B, Q, heads, L, P, 2) normalised points and (B, Q, heads, L, P) weights, those of a head
        summing to 1. Float32; autocast must be off.
        """
        shape = (*queries.shape[:2], self.num_heads, self.num_levels, self.num_points)
        queries, references = queries.float(), references.float()
        offsets = self.offsets(queries).view(*shape, 2)  # in cells of the level
        weights = self.weights(queries).view(*shape[:3], -1).softmax(-1).view(shape)
        cells = references.new_tensor([m.shape[:-3:-1] for m in maps])  # (L, 2) width, height
        return references[:, :, None, None, None] + offsets / cells[:, None], weights

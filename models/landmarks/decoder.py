"""Landmark decoder: query k is landmark k, and every layer moves it closer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from models.deformable_attention import DeformableAttention
from models.encoder import feed_forward
from models.landmarks.prediction import Prediction
from models.position import encode_points, require_width

_STEP = 0.05  # a head output of 1 moves a point by 5 % of the canvas
_INITIAL_LOG_SCALE = -4.0  # b = 1.8 % of the canvas, about 4 mm on a cephalogram


@dataclass(frozen=True)
class Queries:
    """K landmark queries in G groups: group 0 is the real one, the others train the denoising."""

    content: Tensor  # (B, G, K, C)
    points: Tensor  # (B, G, K, 2) normalised reference points


class PointHead(nn.Module):
    """A step from the reference point, and how far off the result may be."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(embed_dim), nn.Linear(embed_dim, embed_dim), nn.GELU(), nn.Linear(embed_dim, 4)
        )
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, content: Tensor) -> tuple[Tensor, Tensor]:
        """(..., C) -> step (..., 2) in head units and log Laplace scale (..., 2) in normalised units."""
        step, log_scale = self.layers(content).chunk(2, dim=-1)
        return step, (log_scale + _INITIAL_LOG_SCALE).clamp(-9.0, 0.0)


class DecoderLayer(nn.Module):
    """Self-attention over the landmarks of a group, then deformable attention into the image."""

    def __init__(
        self, embed_dim: int, num_heads: int, *, num_levels: int, num_points: int, expansion: int
    ) -> None:
        super().__init__()
        self.self_norm, self.cross_norm = nn.LayerNorm(embed_dim), nn.LayerNorm(embed_dim)
        self.self_attention = nn.MultiheadAttention(embed_dim, num_heads, batch_first=True)
        self.cross_attention = DeformableAttention(embed_dim, num_heads, num_levels, num_points)
        self.feed_forward = feed_forward(embed_dim, expansion)
        self.head = PointHead(embed_dim)

    def forward(self, queries: Queries, levels: Sequence[Tensor]) -> Queries:
        """Content after one look at the L maps (B, C, H_l, W_l); the points stay."""
        batch, groups, count, dim = queries.content.shape
        position = encode_points(queries.points, dim)
        content = queries.content.flatten(0, 1)  # (B * G, K, C): groups do not see each other
        normed = self.self_norm(content)
        key = normed + position.flatten(0, 1)
        content = content + self.self_attention(key, key, normed, need_weights=False)[0]
        content = content.reshape(batch, groups * count, dim)
        read = self.cross_attention(
            self.cross_norm(content) + position.flatten(1, 2), queries.points.flatten(1, 2), levels
        )
        content = content + read
        content = content + self.feed_forward(content)
        return Queries(content.view(batch, groups, count, dim), queries.points)


class LandmarkDecoder(nn.Module):
    """Iterative refinement from given start points (Zhu et al., 2021, section 4.2)."""

    def __init__(
        self,
        embed_dim: int,
        *,
        num_layers: int = 1,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 4,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        require_width(embed_dim, num_heads)
        self.layers = nn.ModuleList(
            DecoderLayer(
                embed_dim, num_heads, num_levels=num_levels, num_points=num_points, expansion=expansion
            )
            for _ in range(num_layers)
        )

    def forward(self, queries: Queries, levels: Sequence[Tensor]) -> tuple[Queries, list[Prediction]]:
        """The last queries, and a Prediction of shape (B, G, K, 2) after every layer."""
        predictions = []
        for layer in cast(Iterable[DecoderLayer], self.layers):
            queries = layer(queries, levels)
            step, log_scale = layer.head(queries.content)
            points = queries.points + _STEP * step
            predictions.append(Prediction(points, log_scale))
            queries = Queries(queries.content, points.detach())
        return queries, predictions


class StartQueries(nn.Module):
    """Where each query begins: at its heatmap peak as far as that can be trusted, else at the mean shape.

    With the probability m that the heatmap puts on its peak, the start is m * peak + (1 - m) * mean: the
    expected place if the peak is right with probability m.
    """

    def __init__(self, embed_dim: int, num_landmarks: int) -> None:
        super().__init__()
        self.content = nn.Parameter(torch.randn(num_landmarks, embed_dim) * 0.02)
        self.trust = nn.Linear(1, embed_dim)

    def forward(self, mean_shape: Tensor, peaks: Tensor, mass: Tensor) -> Queries:
        """mean_shape (K, 2), peaks (B, K, 2) normalised, mass (B, K) in [0, 1] -> one group of queries."""
        points = mass[..., None] * peaks + (1.0 - mass[..., None]) * mean_shape
        content = self.content + self.trust(mass[..., None])
        return Queries(content[:, None], points[:, None].detach())

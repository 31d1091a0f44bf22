"""Salience-filtered deformable encoder: only the tokens that matter are updated."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.deformable_attention import DeformableAttention
from models.position import cell_centres, encode_points, require_width


class SalienceEncoder(nn.Module):
    """Deformable self-attention over the most salient tokens of every level.

    Hou et al., Salience DETR (2024): ``level_ratios`` gives the share of tokens kept per level (the
    coarsest is usually kept whole), ``layer_ratios`` the share of those that each layer updates. Other
    tokens stay as they are, and stay readable. The counts are static per input size, so export and
    compilation see fixed shapes. Knows nothing of landmarks.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        num_heads: int = 8,
        num_points: int = 4,
        level_ratios: Sequence[float] = (0.1, 0.2, 0.5, 1.0),
        layer_ratios: Sequence[float] = (1.0,),
        expansion: int = 2,
    ) -> None:
        super().__init__()
        require_width(embed_dim, num_heads)
        for ratio in (*level_ratios, *layer_ratios):
            if not 0.0 < ratio <= 1.0:
                raise ValueError(f"salience ratio {ratio}: expected a share in (0, 1].")
        self.level_ratios, self.layer_ratios = tuple(level_ratios), tuple(layer_ratios)
        self.level_embed = nn.Parameter(torch.randn(len(self.level_ratios), embed_dim) * 0.02)
        self.layers = nn.ModuleList(
            EncoderLayer(
                embed_dim,
                num_heads,
                num_levels=len(self.level_ratios),
                num_points=num_points,
                expansion=expansion,
            )
            for _ in self.layer_ratios
        )

    def forward(self, levels: Sequence[Tensor], salience: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """L maps (B, C, H_l, W_l) and their (B, H_l, W_l) salience -> L refined maps of the same shapes.

        Raises ValueError unless there are as many maps as ``level_ratios``.
        """
        if len(levels) != len(self.level_ratios):
            raise ValueError(
                f"encoder.level_ratios has {len(self.level_ratios)} numbers, expected {len(levels)}, one a "
                "level."
            )
        sizes = [m.shape[-2:] for m in levels]
        tokens = torch.cat([m.flatten(2).transpose(1, 2) for m in levels], dim=1)  # (B, T, C)
        references = torch.cat([cell_centres(h, w, tokens.device) for h, w in sizes])  # (T, 2)
        kept = self.select(salience)  # (B, S), most salient first
        references = references[kept]  # (B, S, 2)
        position = encode_points(references, tokens.shape[-1]) + self._level_embeddings(sizes)[kept]
        for layer, ratio in zip(self.layers, self.layer_ratios, strict=True):
            count = _share(kept.shape[1], ratio)
            index = kept[:, :count, None].expand(-1, -1, tokens.shape[-1])  # (B, count, C)
            updated = layer(
                tokens.gather(1, index), position[:, :count], references[:, :count], _maps(tokens, sizes)
            )
            tokens = tokens.scatter(1, index, updated.to(tokens.dtype))
        return tuple(_maps(tokens, sizes))

    def select(self, salience: Sequence[Tensor]) -> Tensor:
        """(B, S) indices into the T concatenated tokens, sorted by falling salience.

        Among equals the first, on every device and in an exported graph: the peaks of many landmarks are all
        at 1, and can be more than the tokens that a level keeps.
        """
        chosen, scores, start = [], [], 0
        for score, ratio in zip(salience, self.level_ratios, strict=True):
            flat = score.flatten(1)
            count = _share(flat.shape[1], ratio)
            values, indices = flat.sort(dim=1, descending=True, stable=True)
            chosen.append(indices[:, :count] + start)
            scores.append(values[:, :count])
            start += flat.shape[1]
        order = torch.cat(scores, 1).sort(dim=1, descending=True, stable=True).indices
        return torch.cat(chosen, 1).gather(1, order)

    def _level_embeddings(self, sizes: Sequence[torch.Size]) -> Tensor:
        parts = [embed.expand(h * w, -1) for embed, (h, w) in zip(self.level_embed, sizes, strict=True)]
        return torch.cat(parts)


class EncoderLayer(nn.Module):
    """Pre-norm deformable attention and feed-forward network on a subset of tokens."""

    def __init__(
        self, embed_dim: int, num_heads: int, *, num_levels: int, num_points: int, expansion: int
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embed_dim)
        self.attention = DeformableAttention(embed_dim, num_heads, num_levels, num_points)
        self.feed_forward = feed_forward(embed_dim, expansion)

    def forward(self, tokens: Tensor, position: Tensor, references: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """(B, S, C) tokens with (B, S, C) position encodings at (B, S, 2) references -> (B, S, C)."""
        tokens = tokens + self.attention(self.norm(tokens) + position, references, maps)
        return tokens + self.feed_forward(tokens)


def feed_forward(embed_dim: int, expansion: int) -> nn.Sequential:
    """Pre-norm two-layer perceptron."""
    return nn.Sequential(
        nn.LayerNorm(embed_dim),
        nn.Linear(embed_dim, expansion * embed_dim),
        nn.GELU(),
        nn.Linear(expansion * embed_dim, embed_dim),
    )


def _share(count: int, ratio: float) -> int:
    """``ratio`` of ``count``, rounded, at least 1. ``round`` would refuse the traced sizes of torch.jit."""
    return max(1, math.floor(count * ratio + 0.5))


def _maps(tokens: Tensor, sizes: Sequence[torch.Size]) -> list[Tensor]:
    parts = tokens.split([h * w for h, w in sizes], dim=1)
    return [part.transpose(1, 2).unflatten(2, size) for part, size in zip(parts, sizes, strict=True)]

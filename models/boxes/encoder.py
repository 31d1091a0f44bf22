"""The encoder: six layers of deformable attention on ever fewer, ever more salient tokens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.boxes.background import BackgroundEmbedding
from models.boxes.deformable import PyramidAttention
from models.boxes.pyramid import Pyramid, put, take
from models.boxes.selection import Selection


@dataclass(frozen=True)
class LayerResult:
    """What a layer made of its n tokens."""

    tokens: Tensor  # (B, S, C) all of them
    queries: Tensor  # (B, n, C) those that it worked on
    attended: Tensor  # (B, k) which of the n attended to each other


@dataclass(frozen=True)
class TokenSubset:
    """The n tokens that a layer works on."""

    index: Tensor  # (B, n) of all tokens
    position: Tensor  # (B, n, C)
    references: Tensor  # (B, n, L, 2) in parts of the canvas
    salience: Tensor  # (B, n) logits
    changed: Tensor | None  # (B, n) bool, the image's own; None: all are
    seen: Tensor | None  # (B, n) bool, can take part in the self-attention; None: all can


class SalientLayer(nn.Module):
    """Self-attention of the best tokens, deformable attention and a feed-forward network of all of them.

    The best are the ``num_attending`` with the highest class score times salience. As published both are
    logits, so that two very negative ones rank high. ``bounded_priority``: both are probabilities.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        num_levels: int,
        num_points: int,
        hidden_dim: int,
        num_attending: int,
        bounded_priority: bool,
        gathered: bool,
    ) -> None:
        super().__init__()
        self.num_attending, self.bounded_priority = num_attending, bounded_priority
        self.self_attention = nn.MultiheadAttention(embed_dim, num_heads, batch_first=True)
        self.self_norm = nn.LayerNorm(embed_dim)
        self.attention = PyramidAttention(embed_dim, num_heads, num_levels, num_points, gathered=gathered)
        self.attention_norm = nn.LayerNorm(embed_dim)
        self.widen = nn.Linear(embed_dim, hidden_dim)
        self.narrow = nn.Linear(hidden_dim, embed_dim)
        self.norm = nn.LayerNorm(embed_dim)

    def forward(
        self, tokens: Tensor, subset: TokenSubset, values: Tensor, pyramid: Pyramid, classify: nn.Module
    ) -> LayerResult:
        """(B, S, C) tokens; ``values`` (B, S, C) are read; ``classify`` makes class logits of tokens."""
        before = take(tokens, subset.index)
        queries, attended = self._attend(before, subset, classify)
        read = self.attention(queries + subset.position, subset.references, values, pyramid)
        queries = self.attention_norm(queries + read)
        queries = self.norm(queries + self.narrow(F.relu(self.widen(queries))))
        new = queries.to(tokens.dtype)
        if subset.changed is not None:
            new = torch.where(subset.changed[..., None], new, before)
        return LayerResult(put(tokens, subset.index, new), queries, attended)

    def _attend(self, content: Tensor, subset: TokenSubset, classify: nn.Module) -> tuple[Tensor, Tensor]:
        priority = self._priority(classify(content).amax(-1), subset.salience)
        if subset.seen is not None:
            priority = priority.masked_fill(~subset.seen, float("-inf"))
        count = min(self.num_attending, priority.shape[1])
        attended = priority.sort(dim=1, descending=True, stable=True).indices[:, :count]
        best = take(content, attended)
        key = best + take(subset.position, attended)
        unseen = None if subset.seen is None else ~subset.seen.gather(1, attended)
        read = self.self_attention(key, key, best, key_padding_mask=unseen, need_weights=False)[0]
        best = self.self_norm(best + read)
        return put(content, attended, best.to(content.dtype)), attended

    def _priority(self, class_logit: Tensor, salience: Tensor) -> Tensor:
        if self.bounded_priority:
            return class_logit.sigmoid() * salience.sigmoid()
        return class_logit * salience


class SalienceFilter(nn.Module):
    """The layers one after the other, and the background embedding for what the last one leaves alone."""

    def __init__(self, layers: Sequence[nn.Module], background: BackgroundEmbedding) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.background = background

    def forward(
        self,
        values: Tensor,
        position: Tensor,
        pyramid: Pyramid,
        selection: Selection,
        *,
        classify: nn.Module,
        apart: bool,
    ) -> Tensor:
        """(B, S, C) tokens of the first neck and their positions -> (B, S, C).

        ``apart``: an image's own tokens do not see those that it has for its batch mates' sake.
        """
        output = values
        for number, layer in enumerate(cast(Iterable[SalientLayer], self.layers)):
            size, own = selection.layer_sizes[number], selection.layer_own[number]
            index = selection.index[:, :size]
            mine = None if pyramid.whole else torch.arange(size, device=index.device) < own[:, None]
            references = take(pyramid.references.flatten(2), index)
            subset = TokenSubset(
                index=index,
                position=take(position, index),
                references=references.unflatten(-1, (len(pyramid.shapes), 2)),
                salience=selection.salience[:, :size],
                changed=mine,
                seen=mine if apart else None,
            )
            output = layer(output, subset, values, pyramid, classify).tokens
        return self._with_background(output, pyramid, selection, apart)

    def _with_background(self, output: Tensor, pyramid: Pyramid, selection: Selection, apart: bool) -> Tensor:
        size, own = selection.layer_sizes[-1], selection.layer_own[-1]
        index = selection.index[:, :size]
        left_alone = torch.ones(output.shape[:2], dtype=torch.bool, device=output.device)
        taken = torch.zeros_like(index, dtype=torch.bool)
        if apart and not pyramid.whole:
            taken = torch.arange(size, device=index.device) >= own[:, None]
        left_alone = left_alone.scatter(1, index, taken)
        if not pyramid.whole:
            left_alone = left_alone & ~pyramid.padded
        return output + self.background(pyramid).to(output.dtype) * left_alone[..., None]

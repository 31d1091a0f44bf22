"""The decoder: object queries that attend to each other, read the image and move their boxes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.boxes.deformable import PyramidAttention
from models.boxes.geometry import logit
from models.boxes.position import encode_boxes
from models.boxes.proposals import BoxMlp, class_head
from models.boxes.pyramid import Pyramid, wide
from models.precision import full_precision


@dataclass(frozen=True)
class Stage:
    """Every query's classes and box after a layer."""

    logits: Tensor  # (B, Q, K)
    boxes: Tensor  # (B, Q, 4) centre x, centre y, width, height, relative to the image


@dataclass(frozen=True)
class Decoded:
    """What the decoder found."""

    stages: tuple[Stage, ...]  # of each layer, or of the last one alone
    features: Tensor  # (B, Q, C) the last layer's queries, normed


@dataclass(frozen=True)
class Masks:
    """Who is not seen in the self-attention of queries; None: everybody is."""

    hidden: Tensor | None  # (Q, Q) bool: the query of a row does not see that of a column
    absent: Tensor | None  # (B, Q) bool: nobody sees this query


class ReferenceMlp(nn.Module):
    """From the encoding of a box to the position of its query."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.widen = nn.Linear(2 * embed_dim, embed_dim)
        self.mix = nn.Linear(embed_dim, embed_dim)

    def forward(self, encoded: Tensor) -> Tensor:
        """(..., 2 C) -> (..., C)."""
        return self.mix(self.widen(encoded).relu())


class ObjectLayer(nn.Module):
    """Self-attention of the queries, deformable attention around their boxes, feed-forward network."""

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        num_levels: int,
        num_points: int,
        hidden_dim: int,
        gathered: bool,
    ) -> None:
        super().__init__()
        self.self_attention = nn.MultiheadAttention(embed_dim, num_heads, batch_first=True)
        self.self_norm = nn.LayerNorm(embed_dim)
        self.attention = PyramidAttention(embed_dim, num_heads, num_levels, num_points, gathered=gathered)
        self.attention_norm = nn.LayerNorm(embed_dim)
        self.widen = nn.Linear(embed_dim, hidden_dim)
        self.narrow = nn.Linear(hidden_dim, embed_dim)
        self.norm = nn.LayerNorm(embed_dim)

    def forward(
        self,
        content: Tensor,
        position: Tensor,
        references: Tensor,
        *,
        values: Tensor,
        pyramid: Pyramid,
        masks: Masks,
    ) -> Tensor:
        """(B, Q, C) content and position, (B, Q, L, 4) references in parts of the canvas -> (B, Q, C)."""
        key = content + position
        read = self.self_attention(
            key,
            key,
            content,
            key_padding_mask=masks.absent,
            attn_mask=masks.hidden,
            need_weights=False,
        )[0]
        content = self.self_norm(content + read)
        read = self.attention(content + position, references, values, pyramid)
        content = self.attention_norm(content + read)
        return self.norm(content + self.narrow(F.relu(self.widen(content))))


class ObjectDecoder(nn.Module):
    """Layers that each move the boxes, looking forward twice (Zhang et al., DINO, 2023, section 3.4).

    As published, a layer's box comes from its normed queries and the next layer's reference from the same
    queries without the norm. ``normed_references``: the next reference is the box, detached.
    ``canvas_positions``: positions encode references in parts of the canvas, as published, instead of parts
    of the image.
    """

    def __init__(
        self,
        embed_dim: int,
        num_classes: int,
        *,
        layers: list[ObjectLayer],
        normed_references: bool,
        canvas_positions: bool,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.normed_references, self.canvas_positions = normed_references, canvas_positions
        self.layers = nn.ModuleList(layers)
        self.position = ReferenceMlp(embed_dim)
        self.norm = nn.LayerNorm(embed_dim)
        self.class_heads = nn.ModuleList(class_head(embed_dim, num_classes) for _ in layers)
        self.box_heads = nn.ModuleList(BoxMlp(embed_dim) for _ in layers)

    def forward(
        self,
        content: Tensor,
        boxes: Tensor,
        values: Tensor,
        pyramid: Pyramid,
        *,
        masks: Masks,
        every_stage: bool,
    ) -> Decoded:
        """(B, Q, C) queries with (B, Q, 4) boxes read the (B, S, C) tokens of the second neck."""
        stages, reference, normed = [], boxes.detach(), content
        scale = torch.cat([pyramid.ratios, pyramid.ratios], -1)[:, None]  # (B, 1, L, 4)
        for number, layer in enumerate(cast(Iterable[ObjectLayer], self.layers)):
            detached = reference.detach()
            around = detached[:, :, None] * scale
            position = self._position(around, detached, content.dtype)
            content = layer(content, position, around, values=values, pyramid=pyramid, masks=masks)
            normed = self.norm(content)
            last = number == len(self.layers) - 1
            if every_stage or last:
                box = self._moved(number, normed, reference)
                stages.append(Stage(self.class_heads[number](normed), box))
            if not last:
                reference = self._moved(number, normed if self.normed_references else content, detached)
        return Decoded(tuple(stages), normed)

    def _position(self, around: Tensor, reference: Tensor, dtype: torch.dtype) -> Tensor:
        place = around[:, :, 0] if self.canvas_positions else reference
        with full_precision(reference):
            encoded = encode_boxes(place, self.embed_dim // 2)
        return self.position(encoded.to(dtype))

    def _moved(self, number: int, content: Tensor, reference: Tensor) -> Tensor:
        with full_precision(content):
            step = self.box_heads[number](content.to(wide(content.dtype)))
            return (step + logit(reference)).sigmoid()

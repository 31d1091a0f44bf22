"""The first stage: every token may be an object; the best, thinned out on the grid, become queries."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.boxes.pyramid import Pyramid, take
from models.boxes.suppression import stays
from models.precision import full_precision

PRIOR = 0.01  # probability of a class that a fresh head starts from
_SURPLUS = 4  # tokens looked at for each query
_OVERLAP = 0.3  # of two squares of 2x2 cells: 1/3 for direct neighbours, 1/7 for diagonal ones
_APART = 4096.0  # cells between two maps when all are laid out in one plane


@dataclass(frozen=True)
class Proposals:
    """Q tokens an image as boxes with classes, falling score."""

    index: Tensor  # (B, Q) tokens
    logits: Tensor  # (B, Q, K)
    boxes: Tensor  # (B, Q, 4) centre x, centre y, width, height, relative to the image
    real: Tensor | None  # (B, Q) bool, False where an image has fewer; None: all are real
    every: "EveryToken | None"  # in training, where they learn too


@dataclass(frozen=True)
class EveryToken:
    """What all S tokens see, chosen or not."""

    logits: Tensor  # (B, S, K)
    boxes: Tensor  # (B, S, 4) as of proposals
    anchors: Tensor  # (B, S, 4) that they start from


class BoxMlp(nn.Module):
    """Three layers to a step of a box, zero at first."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(embed_dim, width) for width in (embed_dim, embed_dim, 4))
        last: Any = self.layers[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, content: Tensor) -> Tensor:
        """(..., C) -> (..., 4) in logits."""
        first, second, last = self.layers
        return last(second(first(content).relu()).relu())


def thinned(scores: Tensor, pyramid: Pyramid, num_queries: int) -> tuple[Tensor, Tensor]:
    """The best tokens whose direct neighbours on the grid are not better.

    ``scores`` (B, S), -inf where a token must not be taken -> (B, T) tokens of falling score and (B, T)
    bool, which of them stay.
    """
    count = min(_SURPLUS * num_queries, scores.shape[1])
    ranked = scores.sort(dim=1, descending=True, stable=True)
    index, values = ranked.indices[:, :count], ranked.values[:, :count]
    plane = pyramid.level[index] * _APART
    x, y = pyramid.column[index] + plane, pyramid.row[index].to(plane)
    squares = torch.stack([x - 1, y - 1, x + 1, y + 1], -1)  # (B, T, 4)
    return index, stays(squares, _OVERLAP) & (values > float("-inf"))


def first_common(index: Tensor, stay: Tensor, num_queries: int) -> tuple[Tensor, None]:
    """As published: each image keeps as many as the image of the batch with the fewest has."""
    count = min(num_queries, int(stay.sum(1).min()))
    return _first(index, stay, count)[0], None


def first_apart(index: Tensor, stay: Tensor, num_queries: int) -> tuple[Tensor, Tensor]:
    """Each image keeps its own; (B, Q) bool says which of the Q columns are real."""
    return _first(index, stay, min(num_queries, index.shape[1]))


def _first(index: Tensor, stay: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first ``count`` that stay, in order; then others, which are not real."""
    order = (~stay).to(torch.uint8).sort(dim=1, stable=True).indices[:, :count]
    return index.gather(1, order), stay.gather(1, order)


class ProposalHead(nn.Module):
    """Class and box of tokens, and the choice of the queries among them.

    ``apart``: each image by itself. ``boxes_of_chosen``: only the queries' boxes are computed, not all.
    ``dense``: in training all tokens are given out, to learn from.
    """

    def __init__(
        self, embed_dim: int, num_classes: int, *, apart: bool, boxes_of_chosen: bool, dense: bool
    ) -> None:
        super().__init__()
        self.apart, self.boxes_of_chosen, self.dense = apart, boxes_of_chosen, dense
        self.classify = class_head(embed_dim, num_classes)
        self.box = BoxMlp(embed_dim)

    def forward(self, memory: Tensor, anchor: Tensor, pyramid: Pyramid, num_queries: int) -> Proposals:
        """(B, S, C) projected tokens and the (B, S, 4) logits of their anchors -> proposals."""
        logits = self.classify(memory)
        scores = logits.detach().amax(-1)
        if self.apart and not pyramid.whole:
            scores = scores.masked_fill(pyramid.padded, float("-inf"))
        pick = first_apart if self.apart else first_common
        index, real = pick(*thinned(scores, pyramid, num_queries), num_queries)
        learning = self.dense and self.training
        every = None
        if self.boxes_of_chosen and not learning:
            boxes = self.boxes(take(memory, index), take(anchor, index))
        else:
            all_boxes = self.boxes(memory, anchor)
            boxes = take(all_boxes, index)
            every = EveryToken(logits, all_boxes, anchor.sigmoid()) if learning else None
        return Proposals(index, take(logits, index), boxes, real, every)

    def boxes(self, memory: Tensor, anchor: Tensor) -> Tensor:
        """(..., 4) boxes that tokens see around their anchors."""
        with full_precision(memory):
            return (self.box(memory.to(anchor.dtype)) + anchor).sigmoid()


def class_head(embed_dim: int, num_classes: int) -> nn.Linear:
    """A linear layer whose classes start out rare."""
    head = nn.Linear(embed_dim, num_classes)
    nn.init.constant_(head.bias, float(torch.logit(torch.tensor(PRIOR))))
    return head

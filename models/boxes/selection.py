"""Which tokens the encoder works on, in the order of their salience."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.boxes.pyramid import Pyramid


@dataclass(frozen=True)
class Selection:
    """N tokens an image, falling salience; layer i works on the first ``layer_sizes[i]`` of them.

    Layer i changes only the first ``layer_own[i]`` tokens of an image. The others are there because its
    batch mates have more.
    """

    index: Tensor  # (B, N) tokens of the pyramid
    salience: Tensor  # (B, N) their logits
    layer_sizes: tuple[int, ...]
    layer_own: tuple[Tensor, ...]  # a (B,) for each layer


def share(count: Tensor, ratio: float) -> Tensor:
    """``ratio`` of ``count``, rounded down, computed in float32 as the published counts are."""
    return (count.float() * torch.tensor(ratio, dtype=torch.float32, device=count.device)).long()


def whole_share(count: int, ratio: float) -> int:
    """The same of one number that is known without a look at a tensor."""
    return int(np.float32(count) * np.float32(ratio))


def level_counts(pyramid: Pyramid, level_ratios: Sequence[float]) -> Tensor:
    """(B, L) how many tokens of each level are taken, of those that the image covers."""
    valid = pyramid.counts.prod(-1)
    return torch.stack([share(valid[:, level], ratio) for level, ratio in enumerate(level_ratios)], -1)


def rank_jointly(scores: Sequence[Tensor], pyramid: Pyramid, level_ratios: Sequence[float]) -> Tensor:
    """As published: (B, N), for every image as many tokens as the largest of the batch takes.

    ``scores``: L maps (B, rows, columns). Padding takes the lowest score of its level in the whole batch,
    padding included, so it can be among them.
    """
    flat = torch.cat([score.flatten(1) for score in scores], 1)  # (B, S)
    lowest = torch.stack([score.min() for score in scores])
    ranked = torch.where(pyramid.padded, lowest[pyramid.level], flat)
    picked, start = [], 0
    for length, count in zip(pyramid.lengths, most_taken(pyramid, level_ratios), strict=True):
        picked.append(_top(ranked[:, start : start + length], count) + start)
        start += length
    index = torch.cat(picked, 1)
    return index.gather(1, _top(ranked.gather(1, index), index.shape[1]))


def most_taken(pyramid: Pyramid, level_ratios: Sequence[float]) -> list[int]:
    """Of each level: the tokens that the image with the most of the batch takes."""
    return level_counts(pyramid, level_ratios).amax(0).tolist()


def joint_selection(
    index: Tensor,
    scores: Sequence[Tensor],
    pyramid: Pyramid,
    level_ratios: Sequence[float],
    layer_ratios: Sequence[float],
) -> Selection:
    """As published: the layers' shares of the ranked tokens ``index`` (B, N).

    As salience, padding has the lowest score of the batch. An image counts its own tokens over all levels
    and for all layers.
    """
    flat = torch.cat([score.flatten(1) for score in scores], 1)
    salience = torch.where(pyramid.padded, flat.min(), flat).gather(1, index)
    sizes = tuple(max(1, whole_share(index.shape[1], ratio)) for ratio in layer_ratios)
    own = level_counts(pyramid, level_ratios).sum(-1)
    return Selection(index, salience, sizes, tuple(own for _ in sizes))


def select_apart(
    scores: Sequence[Tensor], pyramid: Pyramid, level_ratios: Sequence[float], layer_ratios: Sequence[float]
) -> Selection:
    """Each image by itself: padding is never taken, at least one token a level is.

    The number of columns of the result depends on the size of the canvas alone.
    """
    own = level_counts(pyramid, level_ratios).clamp(min=1)
    picked, ranked, start = [], [], 0
    masks = None if pyramid.whole else pyramid.padded.split(pyramid.lengths, 1)
    for level, (score, ratio) in enumerate(zip(scores, level_ratios, strict=True)):
        flat = score.flatten(1)
        most = max(1, whole_share(flat.shape[1], ratio))
        if masks is not None:
            flat = flat.masked_fill(masks[level], float("-inf"))
        top = _top(flat, most)
        values = flat.gather(1, top)
        if masks is not None:
            rank = torch.arange(most, device=top.device)
            values = values.masked_fill(rank >= own[:, level, None], float("-inf"))
        picked.append(top + start)
        ranked.append(values)
        start += flat.shape[1]
    values, index = torch.cat(ranked, 1), torch.cat(picked, 1)
    order = _top(values, values.shape[1])
    sizes = tuple(max(1, whole_share(index.shape[1], ratio)) for ratio in layer_ratios)
    layer_own = tuple(share(own.sum(-1), ratio).clamp(min=1) for ratio in layer_ratios)
    return Selection(index.gather(1, order), values.gather(1, order), sizes, layer_own)


def _top(values: Tensor, count: int) -> Tensor:
    """(B, count) places of the largest of (B, n), falling; the lowest place first among equals."""
    return values.sort(dim=1, descending=True, stable=True).indices[:, :count]

"""Which tokens stand for an object, so that every one of them can learn: several for each object."""

import torch
from torch import Tensor

from models.boxes.geometry import corners, overlaps
from models.boxes.matcher import Match
from models.boxes.pyramid import Pyramid
from models.boxes.targets import BoxTargets

_NEAREST = 9  # tokens of a level looked at for each object


@torch.no_grad()
def dense_matches(anchors: Tensor, pyramid: Pyramid, targets: BoxTargets) -> list[Match]:
    """Tokens whose anchor fits an object better than usual (ATSS, Zhang et al., 2020), image by image.

    ``anchors`` (B, S, 4) relative to the image. Of each level the 9 tokens nearest to an object are
    candidates. Those stand for it whose overlap reaches the mean and a standard deviation of all candidates'
    and that lie inside it; the best one always does. A token stands for one object only.
    """
    return [
        _match(anchors[image], pyramid.padded[image], pyramid.lengths, objects.to(anchors.dtype))
        for image, objects in enumerate(targets.boxes)
    ]


def _match(anchors: Tensor, padded: Tensor, lengths: list[int], objects: Tensor) -> Match:
    if not len(objects):
        nothing = padded.new_zeros(0, dtype=torch.int64)
        return nothing, nothing
    distance = torch.cdist(anchors[:, :2], objects[:, :2]).masked_fill(padded[:, None], float("inf"))
    candidate = torch.zeros_like(distance, dtype=torch.bool)
    for part, near in zip(candidate.split(lengths), distance.split(lengths), strict=True):
        nearest = near.topk(min(_NEAREST, len(near)), dim=0, largest=False).indices
        part.scatter_(0, nearest, near.gather(0, nearest).isfinite())
    iou = overlaps(corners(anchors)[:, None], corners(objects))[0].masked_fill(~candidate, -1.0)  # (S, N)
    count = candidate.sum(0).clamp(min=1)
    there = iou.masked_fill(~candidate, 0.0)
    mean = there.sum(0) / count
    spread = ((there - mean).square() * candidate).sum(0).div(count).sqrt()
    beside = (anchors[:, None, :2] - objects[:, :2]).abs() <= objects[:, 2:] / 2
    fits = (iou >= mean + spread) & beside.all(-1)
    best = iou.argmax(0)
    fits[best, torch.arange(len(objects), device=best.device)] = True
    quality, place = iou.masked_fill(~fits, -2.0).max(1)
    chosen = (quality > -2.0).nonzero()[:, 0]
    return chosen, place[chosen]

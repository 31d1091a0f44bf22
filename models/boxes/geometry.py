"""Boxes as numbers: centres and corners, overlap, and the logit that steps are taken in.

Inside the models a box is (centre x, centre y, width, height) relative to its own image without padding.
"""

import torch
from torch import Tensor

LOGIT_MARGIN = 1e-3  # of the image: no coordinate is nearer to 0 or 1 than this when its logit is taken


def corners(boxes: Tensor) -> Tensor:
    """(..., 4) centre x, centre y, width, height -> left, top, right, bottom."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], -1)


def centred(boxes: Tensor) -> Tensor:
    """(..., 4) left, top, right, bottom -> centre x, centre y, width, height."""
    first, second = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(first + second) / 2, second - first], -1)


def logit(values: Tensor, margin: float = LOGIT_MARGIN) -> Tensor:
    """The inverse of the sigmoid; ``values`` and 1 - ``values`` count as ``margin`` where they are less."""
    values = values.clamp(0.0, 1.0)
    return (values.clamp(min=margin) / (1.0 - values).clamp(min=margin)).log()


def overlaps(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al., 2019) of boxes given by their corners.

    (..., 4) and (..., 4), broadcast -> (...) and (...). Boxes must have an area.
    """
    inner = (torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])).clamp(
        min=0.0
    )
    outer = torch.maximum(one[..., 2:], other[..., 2:]) - torch.minimum(one[..., :2], other[..., :2])
    intersection, hull = inner.prod(-1), outer.prod(-1)
    union = _area(one) + _area(other) - intersection
    iou = intersection / union
    return iou, iou - (hull - union) / hull


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)

"""The losses of one layer: how well queries say the class, and where the object is."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.boxes.decoder import Stage
from models.boxes.geometry import corners, overlaps
from models.boxes.matcher import Match
from models.boxes.refinement import Refined
from models.boxes.targets import BoxTargets

_SHOWN = 0.3  # IoU of a box with its object, from which on a look at its region helps
_FOCUS = 0.75  # weight of a class that is not there, times the square of its probability


@dataclass(frozen=True)
class LayerLosses:
    """Sums over queries, divided by the number of objects."""

    classes: Tensor
    boxes: Tensor
    overlap: Tensor


def layer_losses(
    stage: Stage, matches: Sequence[Match], targets: BoxTargets, num_objects: float, real: Tensor | None
) -> LayerLosses:
    """Varifocal loss of the classes (Zhang et al., 2021), L1 distance and 1 - GIoU of matched boxes.

    The wanted probability of the matched class is the IoU of the box, of all others 0. Queries that are not
    ``real`` (B, Q) cost nothing.
    """
    image = torch.cat([torch.full_like(queries, number) for number, (queries, _) in enumerate(matches)])
    query = torch.cat([queries for queries, _ in matches])
    found = stage.boxes[image, query]
    boxes = torch.cat([b[places] for b, (_, places) in zip(targets.boxes, matches, strict=True)]).to(
        found.dtype
    )
    labels = torch.cat([names[places] for names, (_, places) in zip(targets.labels, matches, strict=True)])
    iou, generalised = overlaps(corners(found), corners(boxes))
    logits = stage.logits.to(found.dtype)
    wanted = torch.zeros_like(logits).index_put((image, query, labels), iou.detach())
    positive = torch.zeros_like(logits, dtype=torch.bool).index_put(
        (image, query, labels), torch.ones_like(labels, dtype=torch.bool)
    )
    weight = torch.where(positive, wanted, _FOCUS * logits.detach().sigmoid().square())
    costs = weight * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    if real is not None:
        costs = costs.masked_fill(~real[..., None], 0.0)
    return LayerLosses(
        classes=costs.sum() / num_objects,
        boxes=(found - boxes).abs().sum() / num_objects,
        overlap=(1.0 - generalised).sum() / num_objects,
    )


def refinement_loss(refined: Refined, base: Tensor, matches: Sequence[Match], targets: BoxTargets) -> Tensor:
    """Sum of L1 and 1 - GIoU of refined boxes whose query has an object that it overlaps by enough.

    ``base``: (B, Q, 4) the boxes before. Queries that were not chosen, and boxes that do not show their
    object, teach nothing. L1 is in parts of the object's own width and height.
    """
    total = base.sum() * 0.0
    for image, (queries, places) in enumerate(matches):
        objects = targets.boxes[image][places].to(base.dtype)  # (N, 4)
        same = refined.chosen[image][:, None] == queries  # (n, N)
        iou = overlaps(corners(base[image, queries].detach()), corners(objects))[0]
        row, column = (same & (iou > _SHOWN)).nonzero(as_tuple=True)
        found, wanted = refined.boxes[image, row], objects[column]
        distance = ((found - wanted) / wanted[:, [2, 3, 2, 3]]).abs().sum()
        total = total + distance + (1.0 - overlaps(corners(found), corners(wanted))[1]).sum()
    return total

"""From logits and boxes to the detections that users see."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.boxes.decoder import Stage
from models.boxes.geometry import corners
from models.boxes.suppression import stays


@dataclass(frozen=True)
class Detections:
    """D boxes an image, falling score; where an image has fewer, the last have score 0. Float32 at least."""

    boxes: Tensor  # (B, D, 4) left, top, right, bottom in pixels of the canvas
    scores: Tensor  # (B, D) in [0, 1]
    labels: Tensor  # (B, D) int64, index of the class


def detect(
    stage: Stage, real: Tensor | None, sizes: Tensor, *, count: int, clip: bool, nms_overlap: float | None
) -> Detections:
    """The ``count`` best of all queries and classes.

    ``real``: (B, Q) which queries count; ``sizes``: (B, 2) width and height of the images. ``clip`` cuts
    boxes at the border of their image; ``nms_overlap`` drops a box that overlaps a better one of its class
    by more.
    """
    scores = stage.logits.sigmoid().to(stage.boxes.dtype)
    if real is not None:
        scores = scores.masked_fill(~real[..., None], 0.0)
    num_classes = scores.shape[-1]
    flat = scores.flatten(1)
    ranked = flat.sort(dim=1, descending=True, stable=True)
    index, best = ranked.indices[:, :count], ranked.values[:, :count]
    pixels = torch.cat([sizes, sizes], -1)[:, None].to(stage.boxes.dtype)
    boxes = corners(stage.boxes) * pixels
    boxes = boxes.gather(1, (index // num_classes)[..., None].expand(-1, -1, 4))
    if clip:
        boxes = boxes.clamp(min=0.0).minimum(pixels)
    found = Detections(boxes, best, index % num_classes)
    return found if nms_overlap is None else _thinned(found, nms_overlap)


def _thinned(found: Detections, overlap: float) -> Detections:
    """Detections whose overlapped ones have score 0 and stand last."""
    boxes = found.boxes.float()
    reach = boxes.amax((1, 2), keepdim=True) - boxes.amin((1, 2), keepdim=True) + 1.0  # (B, 1, 1)
    apart = reach * found.labels[..., None]  # each class in a plane of its own
    scores = found.scores.masked_fill(~stays(boxes + apart, overlap), 0.0)
    order = scores.sort(dim=1, descending=True, stable=True).indices
    return Detections(
        found.boxes.gather(1, order[..., None].expand(-1, -1, 4)),
        scores.gather(1, order),
        found.labels.gather(1, order),
    )

"""Which query answers for which object."""

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from models.boxes.decoder import Stage
from models.boxes.geometry import corners, overlaps
from models.boxes.targets import BoxTargets

_EPSILON = 1e-6
Match = tuple[Tensor, Tensor]  # (n,) queries and (n,) objects of one image


@dataclass(frozen=True)
class HungarianMatcher:
    """The assignment of one query to each object that costs least (Carion et al., DETR, 2020).

    The cost of a class is that of the focal loss (Zhu et al., 2021), of a box the L1 distance and the
    generalised IoU.
    """

    class_weight: float = 2.0
    box_weight: float = 5.0
    overlap_weight: float = 2.0
    alpha: float = 0.25

    def cost(self, logits: Tensor, boxes: Tensor, labels: Tensor, objects: Tensor) -> Tensor:
        """(Q, K) logits and (Q, 4) boxes against (N,) labels and (N, 4) objects -> (Q, N)."""
        score = logits.sigmoid()[:, labels]
        wanted = self.alpha * (1 - score).square() * -(score + _EPSILON).log()
        unwanted = (1 - self.alpha) * score.square() * -(1 - score + _EPSILON).log()
        distance = (boxes[:, None] - objects).abs().sum(-1)
        overlap = overlaps(corners(boxes)[:, None], corners(objects))[1]
        return (
            self.class_weight * (wanted - unwanted)
            + self.box_weight * distance
            - self.overlap_weight * overlap
        )

    @torch.no_grad()
    def __call__(self, stage: Stage, targets: BoxTargets, real: Tensor | None) -> list[Match]:
        """A match an image; queries that are not ``real`` (B, Q) are left out."""
        matches = []
        for image, (labels, objects) in enumerate(zip(targets.labels, targets.boxes, strict=True)):
            logits, boxes = stage.logits[image], stage.boxes[image]
            rows = torch.arange(len(logits), device=logits.device)
            if real is not None:
                rows = rows[real[image]]
            cost = self.cost(logits[rows].to(boxes.dtype), boxes[rows], labels, objects.to(boxes.dtype))
            queries, places = linear_sum_assignment(_finite(cost))
            matches.append(
                (rows[torch.as_tensor(queries).to(rows.device)], torch.as_tensor(places).to(rows.device))
            )
        return matches


def _finite(cost: Tensor) -> Tensor:
    """On the CPU, with a huge cost for what is not finite: a loss that is NaN is reported by the trainer."""
    return cost.nan_to_num(nan=1e9, posinf=1e9, neginf=-1e9).cpu()

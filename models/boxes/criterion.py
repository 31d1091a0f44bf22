"""What the detector is trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.boxes.decoder import Stage
from models.boxes.dense import dense_matches
from models.boxes.losses import LayerLosses, layer_losses, refinement_loss
from models.boxes.matcher import HungarianMatcher, Match
from models.boxes.outputs import BoxOutputs, Denoised
from models.boxes.proposals import EveryToken
from models.boxes.pyramid import Pyramid
from models.boxes.salience_loss import RANGES, salience_loss, salience_targets
from models.boxes.targets import BoxTargets
from models.loss_report import LossReport
from models.precision import full_precision


class BoxCriterion(nn.Module):
    """Classes, boxes and overlap of every layer, of the proposals and of the denoising queries, and salience.

    Sums over queries are divided by the number of objects of the batch, at least 1. ``salience_ranges``: the
    pixels from a cell to the farthest side of an object that a level is there for, one pair a level.
    Refined boxes join in over the first ``refinement_warmup`` of the training. ``padding_counts``: as
    published, padded cells and queries cost too, and the salience's cells lie in parts of the canvas.
    """

    def __init__(
        self,
        *,
        class_weight: float = 1.0,
        box_weight: float = 5.0,
        overlap_weight: float = 2.0,
        salience_weight: float = 2.0,
        salience_ranges: Sequence[tuple[float, float]] = RANGES,
        refinement_weight: float = 1.0,
        refinement_warmup: float = 0.1,
        matcher: HungarianMatcher | None = None,
        padding_counts: bool = False,
    ) -> None:
        super().__init__()
        self.class_weight, self.box_weight, self.overlap_weight = class_weight, box_weight, overlap_weight
        self.salience_weight = salience_weight
        self.refinement_weight, self.refinement_warmup = refinement_weight, refinement_warmup
        self.salience_ranges = tuple((float(low), float(high)) for low, high in salience_ranges)
        self.matcher, self.padding_counts = matcher or HungarianMatcher(), padding_counts

    def forward(self, outputs: BoxOutputs, targets: BoxTargets, progress: float) -> LossReport:
        """``progress``: share of the training that is done, in [0, 1]."""
        with full_precision(outputs.stages[-1].boxes):
            parts = self._parts(outputs, targets, progress)
        total = torch.stack(list(parts.values())).sum()
        return LossReport(total, {name: value.detach() for name, value in parts.items()})

    def _parts(self, outputs: BoxOutputs, targets: BoxTargets, progress: float) -> dict[str, Tensor]:
        num_objects = max(targets.num_objects, 1)
        proposals, real = outputs.proposals, outputs.proposals.real
        parts: dict[str, Tensor] = {}
        stages = _named(outputs.stages)
        if proposals.every is None:
            stages["_enc"] = Stage(proposals.logits, proposals.boxes)
        else:
            parts |= self._dense(proposals.every, outputs.pyramid, targets)
        for name, stage in stages.items():
            matches = self.matcher(stage, targets, real)
            parts |= self._weighted(name, layer_losses(stage, matches, targets, num_objects, real))
            if name == "" and outputs.refined is not None:
                loss = refinement_loss(outputs.refined, stage.boxes, matches, targets) / num_objects
                share = min(1.0, progress / max(self.refinement_warmup, 1e-9))
                parts["refined"] = self.refinement_weight * share * loss
        if outputs.denoised is not None:
            parts |= self._denoising(outputs.denoised)
        wanted = salience_targets(outputs, targets, self.salience_ranges, padding_counts=self.padding_counts)
        counted = None if self.padding_counts or outputs.pyramid.whole else ~outputs.pyramid.padded
        parts["salience"] = self.salience_weight * salience_loss(outputs.salience, wanted, counted)
        return parts

    def _dense(self, every: EveryToken, pyramid: Pyramid, targets: BoxTargets) -> dict[str, Tensor]:
        """The proposals' losses where all tokens learn: means over tokens that stand for an object."""
        matches = dense_matches(every.anchors, pyramid, targets)
        count = max(sum(len(chosen) for chosen, _ in matches), 1)
        real = None if pyramid.whole else ~pyramid.padded
        stage = Stage(every.logits, every.boxes)
        return self._weighted("_enc", layer_losses(stage, matches, targets, count, real))

    def _denoising(self, denoised: Denoised) -> dict[str, Tensor]:
        queries, targets = denoised.queries, denoised.targets
        num_objects = max(targets.num_objects * queries.groups, 1)
        matches: list[Match] = [queries.matches(i, len(labels)) for i, labels in enumerate(targets.labels)]
        real = None if self.padding_counts else queries.real
        parts = {}
        for name, stage in _named(denoised.stages).items():
            losses = layer_losses(stage, matches, targets, num_objects, real)
            parts |= self._weighted(f"_dn{name}", losses)
        return parts

    def _weighted(self, name: str, losses: LayerLosses) -> dict[str, Tensor]:
        return {
            f"class{name}": self.class_weight * losses.classes,
            f"bbox{name}": self.box_weight * losses.boxes,
            f"giou{name}": self.overlap_weight * losses.overlap,
        }


def _named(stages: Sequence[Stage]) -> dict[str, Stage]:
    """The last stage under no name, those before it under their number."""
    return {"" if number == len(stages) - 1 else f"_{number}": stage for number, stage in enumerate(stages)}

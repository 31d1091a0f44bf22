"""What a detector computes on its way to the boxes of one image, as plain arrays."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.boxes.decoder import Stage
from models.boxes.geometry import corners
from models.boxes.selection import Selection
from util.inspection.hooks import record_calls


@dataclass(frozen=True)
class Candidates:
    """N boxes with the class that each most likely is."""

    boxes: np.ndarray  # (N, 4) left, top, right, bottom in pixels of the image
    scores: np.ndarray  # (N,) in [0, 1]
    labels: np.ndarray  # (N,) int64


@dataclass(frozen=True)
class BoxViews:
    """One image's way through a detector. Maps are of L levels, cut to what the image covers."""

    salience: tuple[np.ndarray, ...]  # (h, w) probabilities that a cell is worth a look
    updates: tuple[np.ndarray, ...]  # (h, w) int, how many encoder layers work on a cell
    proposals: Candidates  # all, falling score
    layers: tuple[Candidates, ...]  # the same few queries: as proposals, then after every decoder layer
    detections: Candidates  # what users see


@dataclass(frozen=True)
class ObjectGradients:
    """Which cells of the backbone's maps speak for one object."""

    label: int
    score: float
    box: np.ndarray  # (4,) pixels of the image
    maps: tuple[np.ndarray, ...]  # (h, w), fine to coarse; 0 or more


@torch.inference_mode()
def look_inside(model: Any, images: Tensor, sizes: Tensor, count: int) -> BoxViews:
    """The views of (1, C, H, W) images in [0, 1], (1, 2) wide and high; ``count`` queries layer by layer."""
    with _every_stage(model), record_calls([model.encoder]) as calls:
        outputs = model(images, sizes=sizes)
    selection: Selection = calls[model.encoder].inputs[3]
    size = sizes[0].cpu().numpy()
    counts = outputs.pyramid.counts[0].long().tolist()  # columns and rows of each level
    updates = outputs.pyramid.maps(_updates(selection, outputs.pyramid.padded)[..., None])
    first = Stage(outputs.proposals.logits, outputs.proposals.boxes)
    best = _best_queries(outputs, count)
    final = outputs.final
    found = final.scores[0] > 0
    return BoxViews(
        salience=tuple(
            _cut(m[0].float().sigmoid(), c) for m, c in zip(outputs.salience, counts, strict=True)
        ),
        updates=tuple(_cut(m[0, 0], c) for m, c in zip(updates, counts, strict=True)),
        proposals=_candidates(first, _real(outputs), size),
        layers=tuple(_candidates(stage, best, size) for stage in (first, *outputs.stages)),
        detections=Candidates(
            *(tensor[0][found].cpu().numpy() for tensor in (final.boxes, final.scores, final.labels))
        ),
    )


def gradient_maps(model: Any, images: Tensor, sizes: Tensor, count: int) -> list[ObjectGradients]:
    """Grad-CAM (Selvaraju et al., 2017) of the ``count`` best queries for every map of the backbone.

    The score is the logit of the query's class after the last layer; a channel weighs as much as its mean
    gradient, and what speaks against the object is cut off.
    """
    with torch.enable_grad(), record_calls([model.backbone]) as calls:
        outputs = model(images, sizes=sizes)
        maps = [m for m in calls[model.backbone].output[-model.num_maps :] if m.requires_grad]
    stage, size, results = outputs.stages[-1], sizes[0].cpu().numpy(), []
    for query in _best_queries(outputs, count).tolist():
        logit, label = stage.logits[0, query].max(-1)
        gradients = torch.autograd.grad(logit, maps, retain_graph=True, allow_unused=True)
        cams = [
            (m * g.mean((2, 3), keepdim=True)).sum(1)[0].relu()
            for m, g in zip(maps, gradients, strict=True)
            if g is not None
        ]
        box = _pixels(stage.boxes[0, query], size)
        score = float(logit.detach().sigmoid())
        arrays = tuple(cam.detach().cpu().numpy() for cam in cams)
        results.append(ObjectGradients(int(label), score, box, arrays))
    return results


@contextmanager
def _every_stage(model: Any) -> Iterator[None]:
    """A detector that computes the classes and boxes of all of its decoder's layers, not of the last only."""
    before = model.corrections
    model.corrections = replace(before, boxes_of_chosen=False)
    try:
        yield
    finally:
        model.corrections = before


def _updates(selection: Selection, padded: Tensor) -> Tensor:
    """(1, S) how many layers change each token."""
    counts = torch.zeros(padded.shape, dtype=torch.int64, device=padded.device)
    for size, own in zip(selection.layer_sizes, selection.layer_own, strict=True):
        index = selection.index[:, : min(size, int(own[0]))]
        counts = counts.scatter_add(1, index, torch.ones_like(index))
    return counts.masked_fill(padded, 0)


def _cut(values: Tensor, counts: Sequence[int]) -> np.ndarray:
    return values[: counts[1], : counts[0]].cpu().numpy()


def _real(outputs: Any) -> Tensor:
    """(n,) places of the queries that are no filling."""
    index, real = outputs.proposals.index, outputs.proposals.real
    if real is None:
        return torch.arange(index.shape[1], device=index.device)
    return real[0].nonzero().flatten()


def _best_queries(outputs: Any, count: int) -> Tensor:
    """(n,) the queries with the highest scores after the last layer, best first."""
    real = _real(outputs)
    scores = outputs.stages[-1].logits[0].detach().amax(-1)[real]
    return real[scores.argsort(descending=True, stable=True)[:count]]


def _candidates(stage: Stage, queries: Tensor, size: np.ndarray) -> Candidates:
    scores, labels = stage.logits[0, queries].float().sigmoid().max(-1)
    boxes = _pixels(stage.boxes[0, queries], size)
    return Candidates(boxes, scores.cpu().numpy(), labels.cpu().numpy())


def _pixels(boxes: Tensor, size: np.ndarray) -> np.ndarray:
    """(..., 4) boxes in pixels of an image of ``size``, width first."""
    return corners(boxes.detach()).cpu().numpy() * np.tile(size, 2)

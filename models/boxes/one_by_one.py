"""Images of a batch, each seen by itself: for the published computation, in which batch mates have a say."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.boxes.detections import Detections
from models.boxes.images import MULTIPLE


@dataclass(frozen=True)
class FoundAlone:
    """``final`` of every image as it would be alone."""

    final: Detections


def sees_mates(model: Any) -> bool:
    """Whether what ``model`` finds on an image depends on the others of its batch."""
    corrections = getattr(model, "corrections", None)
    return corrections is not None and not corrections.images_apart


def one_by_one(model: Any, images: Tensor, sizes: Tensor) -> FoundAlone:
    """(B, C, H, W) images in [0, 1] of (B, 2) widths and heights, each on a canvas of its own.

    Where one has fewer detections than another, its last ones have score 0.
    """
    found = []
    for image, size in zip(images.split(1), sizes.split(1), strict=True):
        width, height = (-(-side // MULTIPLE) * MULTIPLE for side in size[0].tolist())
        # laid out as the loader gives a batch of one, colours last: then the numbers are the same to the bit
        canvas = image.movedim(1, -1)[:, :height, :width].contiguous().movedim(-1, 1)
        found.append(model(canvas, sizes=size).final)
    count = max(one.scores.shape[1] for one in found)
    missing = [count - one.scores.shape[1] for one in found]
    return FoundAlone(
        Detections(
            torch.cat([F.pad(one.boxes, (0, 0, 0, n)) for one, n in zip(found, missing, strict=True)]),
            torch.cat([F.pad(one.scores, (0, n)) for one, n in zip(found, missing, strict=True)]),
            torch.cat([F.pad(one.labels, (0, n)) for one, n in zip(found, missing, strict=True)]),
        )
    )

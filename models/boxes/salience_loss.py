"""What salience is learned from: how near a cell is to the centre of an object of its level's size."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from models.boxes.geometry import corners
from models.boxes.outputs import BoxOutputs
from models.boxes.targets import BoxTargets

_ALPHA = 0.25
RANGES = ((-1.0, 64.0), (64.0, 128.0), (128.0, 256.0), (256.0, 99999.0))  # pixels, of a level


def salience_targets(
    outputs: BoxOutputs, targets: BoxTargets, ranges: Sequence[tuple[float, float]], *, padding_counts: bool
) -> list[Tensor]:
    """L maps (B, rows, columns): 1 at the centre of an object, falling to its corners, 0 outside.

    A cell takes the highest value of all objects that hold its centre, provided that one of them has its
    farthest side in the level's range of pixels. Cells lie where the model reads them, in parts of the image;
    as published (``padding_counts``) in parts of the canvas, whatever it adds to the image. Raises ValueError
    unless every level has a range.
    """
    if len(ranges) != len(outputs.pyramid.shapes):
        raise ValueError(
            f"criterion.salience_ranges has {len(ranges)} pairs, expected {len(outputs.pyramid.shapes)}, one "
            "a level of the model."
        )
    pyramid = outputs.pyramid
    if padding_counts:
        canvas = pyramid.counts.new_tensor(outputs.canvas[::-1])
        pixels = (pyramid.middles / pyramid.cells[pyramid.level] * canvas).expand(len(targets.boxes), -1, -1)
    else:
        pixels = pyramid.centres * targets.sizes[:, None].to(pyramid.counts.dtype)
    places = pyramid.maps(pixels)
    return [
        torch.stack(
            [
                _salience(boxes.to(pixels.dtype), size, of_image, limits)
                for boxes, size, of_image in zip(targets.boxes, targets.sizes, of_level, strict=True)
            ]
        )
        for of_level, limits in zip(places, ranges, strict=True)
    ]


def _salience(boxes: Tensor, size: Tensor, places: Tensor, limits: tuple[float, float]) -> Tensor:
    """(rows, columns) of one image and level.

    boxes: (N, 4), relative to the image of ``size`` pixels; places: (2, rows, columns) x and y of the cells'
    centres in pixels.
    """
    if not len(boxes):
        return boxes.new_zeros(places.shape[1:])
    pixels = corners(boxes) * size.repeat(2)
    x, y = places[..., None]
    left, top, right, bottom = (x - pixels[:, 0], y - pixels[:, 1], pixels[:, 2] - x, pixels[:, 3] - y)
    sides = torch.stack((left, top, right, bottom), -1)  # (rows, columns, N, 4)
    across = (sides[..., 0] - sides[..., 2]) / (sides[..., 0] + sides[..., 2])
    down = (sides[..., 1] - sides[..., 3]) / (sides[..., 1] + sides[..., 3])
    centred = 1.0 - (across.square() + down.square()).sqrt() / 2.0
    inside, farthest = sides.amin(-1) > 0, sides.amax(-1)
    fits = (inside & (farthest > limits[0]) & (farthest <= limits[1])).any(-1)
    highest = centred.masked_fill(~inside, 0.0).amax(-1)
    return highest * fits


def salience_loss(logits: Sequence[Tensor], wanted: Sequence[Tensor], counted: Tensor | None) -> Tensor:
    """Focal loss (Lin et al., 2017) of all cells over the number of cells with something to find.

    ``counted``: (B, S) bool, the cells that matter; None: all.
    """
    x = torch.cat([m.flatten(1) for m in logits], 1)
    t = torch.cat([m.flatten(1) for m in wanted], 1)
    x = x.to(t.dtype)
    p = x.sigmoid()
    weight = (1 - _ALPHA) * p.square() * (1 - t) + _ALPHA * (1 - p).square() * t
    costs = weight * F.binary_cross_entropy_with_logits(x, t, reduction="none")
    if counted is not None:
        costs, t = costs.masked_fill(~counted, 0.0), t.masked_fill(~counted, 0.0)
    return costs.sum() / (t > 0).sum().clamp(min=1)

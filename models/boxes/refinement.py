"""A second look at the best boxes: a region of each, read by its own query, moves it once more."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from models.boxes.geometry import corners
from models.boxes.pyramid import take
from models.precision import full_precision

_CELLS = 7  # of a region, along each side
_LARGEST_STEP = 0.5  # of the box: of its centre in parts of its size, of its size as a logarithm


@dataclass(frozen=True)
class RegionSource:
    """What regions can be read from, and where the images lie on it."""

    first: Tensor  # (B, C, h, w) finest map of the first neck
    second: Tensor  # (B, C, h, w) finest map of the second neck, 0 in the padding unless as published
    stride: int  # pixels of a cell
    sizes: Tensor  # (B, 2) width and height of the images in pixels


@dataclass(frozen=True)
class Refined:
    """The boxes that were looked at again."""

    chosen: Tensor  # (B, n) queries
    boxes: Tensor  # (B, n, 4) centre x, centre y, width, height, relative to the image


class BoxRefinement(nn.Module):
    """Moves the ``num_boxes`` best boxes of an image by what 7x7 cells of the second neck show of them.

    A box is enlarged by ``margin`` of its size on each side, so that a border that it missed can be seen.
    Its query weighs the cells (additive attention, Bahdanau et al., 2015). Steps are in units of the box and
    start at zero, so an untrained refinement changes nothing. The boxes come in detached: what is learned
    here moves no other part of the decoder's boxes.
    """

    def __init__(
        self, embed_dim: int, *, num_boxes: int = 50, margin: float = 0.1, token_dim: int = 64
    ) -> None:
        super().__init__()
        self.num_boxes, self.margin = num_boxes, margin
        self.position = nn.Parameter(torch.randn(_CELLS**2, token_dim) * 0.02)
        self.tokens = nn.Linear(embed_dim, token_dim)
        self.query = nn.Linear(embed_dim, token_dim)
        self.score = nn.Sequential(nn.LayerNorm(token_dim), nn.ReLU(), nn.Linear(token_dim, 4, bias=False))
        self.mix = nn.Sequential(
            nn.Linear(4 * token_dim, token_dim), nn.ReLU(), nn.LayerNorm(token_dim), nn.Linear(token_dim, 4)
        )
        for parameter in self.mix[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, source: RegionSource, queries: Tensor, logits: Tensor, boxes: Tensor, real: Tensor | None
    ) -> Refined:
        """(B, Q, C) normed queries, (B, Q, K) logits and (B, Q, 4) boxes; ``real`` (B, Q): which count."""
        scores = logits.detach().sigmoid().amax(-1)
        if real is not None:
            scores = scores.masked_fill(~real, -1.0)
        count = min(self.num_boxes, scores.shape[1])
        chosen = scores.sort(dim=1, descending=True, stable=True).indices[:, :count]
        best = take(boxes.detach(), chosen)
        with full_precision(boxes):
            cells = self._cells(source, best)
            steps = self._steps(cells, take(queries, chosen).to(best.dtype))
            centre = best[..., :2] + steps[..., :2] * best[..., 2:]
            return Refined(chosen, torch.cat([centre, best[..., 2:] * steps[..., 2:].exp()], -1))

    def _cells(self, source: RegionSource, boxes: Tensor) -> Tensor:
        """(B, n, 49, C) of the regions around (B, n, 4) boxes; beyond its image a region reads 0."""
        pixels = torch.cat([source.sizes, source.sizes], -1)[:, None].to(boxes.dtype)
        grown = torch.cat([boxes[..., :2], boxes[..., 2:] * (1.0 + 2.0 * self.margin)], -1)
        regions = corners(grown) * pixels + source.stride  # (B, n, 4), of the map with a border of one cell
        batch, count = boxes.shape[:2]
        image = torch.arange(batch, device=boxes.device, dtype=boxes.dtype).repeat_interleave(count)
        rois = torch.cat([image[:, None], regions.flatten(0, 1)], -1)
        maps = F.pad(source.second.to(boxes.dtype), (1, 1, 1, 1))  # roi_align repeats what is outermost
        cells = roi_align(maps, rois, _CELLS, 1.0 / source.stride, sampling_ratio=2, aligned=True)
        return cells.flatten(2).transpose(1, 2).unflatten(0, (batch, count))

    def _steps(self, cells: Tensor, queries: Tensor) -> Tensor:
        """(B, n, 4) in units of the box."""
        tokens = self.tokens(cells) + self.position  # (B, n, 49, T)
        weights = self.score(tokens + self.query(queries)[..., None, :]).softmax(-2)  # (B, n, 49, 4)
        read = weights.transpose(-1, -2) @ tokens  # (B, n, 4, T)
        return self.mix(read.flatten(-2)).tanh() * _LARGEST_STEP

"""How salient every token is, from the coarsest level to the finest."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.boxes.masked import valid_mean
from models.boxes.pyramid import Pyramid, wide
from models.precision import full_precision

_ALPHA = 0.3


class SaliencePredictor(nn.Module):
    """A logit a token; half of the channels are replaced by their mean over the level."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        half, quarter = embed_dim // 2, embed_dim // 4
        self.mix = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, embed_dim), nn.GELU())
        self.score = nn.Sequential(
            nn.Linear(embed_dim, half), nn.GELU(), nn.Linear(half, quarter), nn.GELU(), nn.Linear(quarter, 1)
        )

    def forward(self, tokens: Tensor, covered: Tensor | None) -> Tensor:
        """(B, n, C) tokens of one level, and which of them count in the mean (B, n, 1) -> (B, n)."""
        own, common = self.mix(tokens).chunk(2, -1)
        common = valid_mean(common, covered).expand_as(own)
        return self.score(torch.cat([own, common], -1)).squeeze(-1)


class SalienceScores(nn.Module):
    """Scores of all levels; each level is told the scores of the coarser one.

    As published, the coarser scores scale a level's tokens. The predictor begins with a LayerNorm, so only
    the sign of the factor acts. ``add_scores``: they are added to the level's own scores instead.
    """

    def __init__(self, embed_dim: int, num_levels: int, *, add_scores: bool) -> None:
        super().__init__()
        self.add_scores = add_scores
        self.predictor = SaliencePredictor(embed_dim)
        self.alpha = nn.Parameter(torch.empty(num_levels - 1).uniform_(-_ALPHA, _ALPHA))

    def forward(self, tokens: Tensor, pyramid: Pyramid, masks: Sequence[Tensor] | None) -> list[Tensor]:
        """(B, S, C) projected tokens -> L maps (B, rows, columns) of logits.

        With ``masks`` (``Pyramid.covered``) padding has no say in the scores of the others.
        """
        parts = tokens.split(pyramid.lengths, dim=1)
        scores: list[Tensor] = []
        for level in reversed(range(len(parts))):
            part = parts[level]
            covered = None if masks is None else masks[level].flatten(2).transpose(1, 2)
            above = _above(scores[-1], pyramid, level, apart=masks is not None) if scores else None
            if above is not None and not self.add_scores:
                part = part + part * above[..., None].to(part.dtype) * self.alpha[level]
            score = self.predictor(part, covered)
            if above is not None and self.add_scores:
                score = score + self.alpha[level] * above.to(score.dtype)
            scores.append(score.unflatten(1, pyramid.shapes[level]))
        return scores[::-1]


def _above(coarse: Tensor, pyramid: Pyramid, level: int, *, apart: bool) -> Tensor:
    """(B, n) scores of the coarser level at the cells of ``level``, corner on corner.

    The corners are those of the maps, with ``apart`` those of the part that each image covers.
    """
    coarse = coarse[:, None].to(wide(coarse.dtype))
    if not apart:
        return F.interpolate(coarse, pyramid.shapes[level], mode="bilinear", align_corners=True).flatten(1)
    with full_precision(coarse):
        grid = _corner_grid(pyramid, level).to(coarse.dtype)
        return F.grid_sample(coarse, grid, padding_mode="border", align_corners=True).flatten(1)


def _corner_grid(pyramid: Pyramid, level: int) -> Tensor:
    """(B, rows, columns, 2) places in the coarser map: the covered parts of both share their corners."""
    fine, coarse = (
        pyramid.counts[:, level, None, None],
        pyramid.counts[:, level + 1, None, None],
    )  # (B, 1, 1, 2)
    rows, columns = (torch.arange(side, device=fine.device) for side in pyramid.shapes[level])
    cells = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
    places = (cells * (coarse - 1) / (fine - 1).clamp(min=1)).minimum(coarse - 1)
    return 2.0 * places / (pyramid.cells[level + 1] - 1).clamp(min=1) - 1.0

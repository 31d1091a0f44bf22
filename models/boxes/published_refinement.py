"""The box refinement of the ROI fork as it is: for its checkpoints, in the compatible mode."""

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from models.boxes.geometry import corners
from models.boxes.pyramid import take
from models.boxes.refinement import Refined, RegionSource
from models.precision import full_precision

_CELLS = 7  # of a region, along each side
_LARGEST_STEP = 0.1  # of the canvas


class PublishedRefinement(nn.Module):
    """Moves the best boxes of an image after a look at 7x7 cells of the first neck's map of stride 8.

    The best go by a softmax over the classes, the last class left out, although the scores are sigmoids.
    Boxes are taken as parts of the canvas, although they are parts of the image. The names of the tensors
    are those of the fork.
    """

    def __init__(self, embed_dim: int = 256, *, num_boxes: int = 50, stride: int = 8) -> None:
        super().__init__()
        self.num_boxes, self.stride = num_boxes, stride
        self.pos_embed = nn.Parameter(torch.randn(1, _CELLS**2, embed_dim) * 0.02)
        self.roi_token = nn.Parameter(torch.randn(1, 1, embed_dim) * 0.02)
        layer = nn.TransformerEncoderLayer(embed_dim, 8, 4 * embed_dim, dropout=0.1, batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.mlp_head = nn.Sequential(nn.Linear(embed_dim, embed_dim), nn.ReLU(), nn.Linear(embed_dim, 4))

    def forward(
        self, source: RegionSource, queries: Tensor, logits: Tensor, boxes: Tensor, real: Tensor | None
    ) -> Refined:
        """(B, Q, C) normed queries, (B, Q, K) logits and (B, Q, 4) boxes; all queries count, as there."""
        return self.refined(source.first, queries, logits, boxes)

    def refined(self, features: Tensor, queries: Tensor, logits: Tensor, boxes: Tensor) -> Refined:
        """The best boxes after a look at a (B, C, h, w) map."""
        chosen = self.chosen(logits)
        best = take(boxes, chosen)
        steps = self.deltas(features, take(queries, chosen), best).tanh() * _LARGEST_STEP
        return Refined(chosen, best + steps)

    def chosen(self, logits: Tensor) -> Tensor:
        """(B, n) the best queries."""
        scores = logits.softmax(-1)[..., :-1].amax(-1)
        return scores.topk(min(self.num_boxes, scores.shape[1]), dim=1).indices

    def deltas(self, features: Tensor, queries: Tensor, boxes: Tensor) -> Tensor:
        """(B, n, 4) steps of (B, n, 4) boxes, before they are bounded."""
        with full_precision(features):
            features, queries = features.to(boxes.dtype), queries.to(boxes.dtype)
            canvas = boxes.new_tensor([features.shape[-1], features.shape[-2]]).repeat(2) * self.stride
            pixels = corners(boxes.detach()) * canvas
            cells = roi_align(features, list(pixels), _CELLS, 1.0 / self.stride, aligned=True)
            cells = cells.flatten(2).transpose(1, 2) + self.pos_embed  # (B * n, 49, C)
            token = self.roi_token.expand(cells.shape[0], -1, -1)
            sequence = torch.cat([queries.flatten(0, 1)[:, None], token, cells], 1)
            return self.mlp_head(self.transformer(sequence)[:, 1]).view_as(boxes)

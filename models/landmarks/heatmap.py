"""Landmark heatmaps on the fine map: dense supervision, salience, and a candidate start for every query."""

from torch import Tensor, nn
from torch.nn import functional as F

from models.landmarks.heatmap_window import highest_cell, moments_around, read_window
from models.precision import PointwiseConv2d, full_precision


class HeatmapHead(nn.Module):
    """One channel per landmark; its softmax over the map is the probability of the landmark's place."""

    def __init__(self, embed_dim: int, num_landmarks: int) -> None:
        super().__init__()
        self.classify = PointwiseConv2d(embed_dim, num_landmarks, bias=False)  # a softmax ignores a bias

    def forward(self, fine: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, K, h, w) float32 logits."""
        with full_precision(fine):
            return self.classify(fine.float())


def salience_levels(logits: Tensor, sizes: list[tuple[int, int]]) -> list[Tensor]:
    """How likely a cell holds any landmark, per level: the union (maximum) of the landmark heatmaps.

    logits: (B, K, h, w). Every channel is scaled to a peak of 1, so that each landmark, however diffuse,
    claims the same share. Returns a (B, H_l, W_l) map in (0, 1] per (height, width) in ``sizes``.
    """
    peaks = logits.detach().amax((-2, -1), keepdim=True)
    union = (logits.detach() - peaks).exp().amax(1, keepdim=True)  # (B, 1, h, w)
    return [F.adaptive_max_pool2d(union, size)[:, 0] for size in sizes]


def read_peaks(logits: Tensor, radius: int = 4) -> tuple[Tensor, Tensor]:
    """Where each heatmap peaks, below the size of a cell, and how much of its probability lies there.

    logits: (B, K, h, w). The point is the expectation over the window of ``radius`` cells around the
    highest cell. Returns points (B, K, 2) normalised and the window's probability (B, K).
    """
    cells = highest_cell(logits)
    window = read_window(logits, cells, radius)
    mass = (window.flatten(-2).logsumexp(-1) - logits.flatten(2).logsumexp(-1)).exp()
    size = logits.new_tensor(logits.shape[:-3:-1])  # width, height
    return moments_around(cells, window).mean / size, mass

"""ROI refinement: a small window of fine features around each point settles the last millimetre."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.landmarks.decoder import PointHead, Queries
from models.landmarks.prediction import Prediction
from models.position import sampling_grid

_MIN_VARIANCE = 1e-6


class ImageStem(nn.Module):
    """Two convolutions on the raw image: a stride-2 map with the detail that a stride-4 map has lost."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, 5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, channels, H/2, W/2)."""
        return self.layers(images)


class RoiStage(nn.Module):
    """One window per landmark, read with one ``grid_sample`` per map and weighed by the landmark's query.

    The window is a square of ``2 * half_height`` of the canvas height, sampled ``samples`` x ``samples``
    times. Its tokens are scored against the query (additive attention, Bahdanau et al., 2015); the new point
    is the expectation under these scores, inside the window by construction, plus a step of at most one
    sample.
    """

    window: Tensor

    def __init__(
        self,
        embed_dim: int,
        in_channels: Sequence[int],
        half_height: float,
        *,
        token_dim: int = 64,
        samples: int = 9,
    ) -> None:
        super().__init__()
        self.half_height, self.num_maps = half_height, len(in_channels)
        axis = torch.linspace(-1.0, 1.0, samples)
        window = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).reshape(-1, 2)
        self.register_buffer("window", window, persistent=False)  # (S, 2) in half windows
        self.sample_step = 2.0 / (samples - 1)
        self.position = nn.Parameter(torch.randn(samples * samples, token_dim) * 0.02)
        self.tokens = nn.Linear(sum(in_channels), token_dim)
        self.query = nn.Linear(embed_dim, token_dim)
        self.mix = nn.Sequential(
            nn.LayerNorm(token_dim), nn.ReLU(), nn.Linear(token_dim, token_dim), nn.ReLU()
        )
        self.score = nn.Linear(token_dim, 1, bias=False)  # a softmax ignores a bias
        self.summary = nn.Linear(token_dim + 2, embed_dim)
        self.head = PointHead(embed_dim)

    def forward(self, queries: Queries, maps: Sequence[Tensor]) -> tuple[Queries, Prediction]:
        """Refine (B, G, K) points with windows from the maps (B, C_m, H_m, W_m)."""
        half = self.half_window(maps[0])
        tokens = self.read(queries, maps, half)  # (B, G, K, S, T)
        attention = self.score(tokens).squeeze(-1).softmax(-1)  # (B, G, K, S)
        centre = attention @ self.window  # (B, G, K, 2) in half windows
        variance = attention @ self.window.square() - centre.square()
        spread = variance.clamp(min=_MIN_VARIANCE).log()
        pooled = (attention[..., None] * tokens).sum(-2)  # (B, G, K, T)
        content = queries.content + self.summary(torch.cat([pooled, spread], -1))
        step, log_scale = self.head(content)
        points = queries.points + half * (centre + self.sample_step * step.tanh())
        return Queries(content, points.detach()), Prediction(points, log_scale)

    def half_window(self, feature_map: Tensor) -> Tensor:
        """(2,) normalised half width and half height, as many pixels each, of the window on (B, C, H, W)."""
        height, width = feature_map.shape[-2:]
        return self.window.new_tensor([self.half_height * height / width, self.half_height])

    def window_points(self, centres: Tensor, half: Tensor) -> Tensor:
        """(..., 2) normalised centres -> (..., S, 2) normalised points of their windows, row by row."""
        return centres[..., None, :] + half * self.window

    def read(self, queries: Queries, maps: Sequence[Tensor], half: Tensor) -> Tensor:
        """(B, G, K, S, T) window tokens conditioned on their landmark's query."""
        points = self.window_points(queries.points, half)  # (B, G, K, S, 2)
        grid = sampling_grid(points.flatten(1, 2))  # (B, G * K, S, 2)
        sampled = torch.cat([F.grid_sample(m, grid, align_corners=False) for m in maps], dim=1)
        sampled = sampled.permute(0, 2, 3, 1).unflatten(1, queries.points.shape[1:3])  # (B, G, K, S, sum C_m)
        tokens = self.tokens(sampled) + self.position + self.query(queries.content)[..., None, :]
        return tokens + self.mix(tokens)

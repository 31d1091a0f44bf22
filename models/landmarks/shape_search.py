"""Landmarks that lie as a shape does: each goes to a peak of its heatmap, all of them together.

Where a row of landmarks can be counted from two of its members, every heatmap has two peaks. A regression
lies between them, and the highest cells are of one counting here and of the other there. A mean-shift whose
every step is drawn back to the training set's shapes settles on peaks that belong together (regularised
landmark mean-shift, Saragih, Lucey & Cohn, 2011; the shapes are Cootes, Taylor et al.'s, 1995).
"""

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

_NOISE = (1.0, 0.67, 0.45, 0.3, 0.2)  # variance of a peak's place, in windows squared: ever less of the shape
_PASSES = 2  # for each
_FREE = 1e3  # canvas heights squared: place, turn and size are anyone's
_EMPTY = 1e-20  # of the heatmap's peak: a window with less says nothing


class ShapeSearch(nn.Module):
    """Moves (B, K, 2) points on (B, K, h, w) heatmaps. ``learn`` how shapes vary before; nothing is trained.

    ``window`` is the standard deviation of the Gaussian through which a point looks at its heatmap, as a
    share of the canvas height: about a sixth of the distance of neighbours that look alike.
    """

    shape: Tensor
    gains: Tensor

    def __init__(self, num_landmarks: int, window: float) -> None:
        super().__init__()
        self.window = window
        self.register_buffer("shape", torch.full((num_landmarks, 2), 0.5))  # in canvas heights
        gains = torch.eye(2 * num_landmarks).expand(len(_NOISE), -1, -1).clone()
        self.register_buffer("gains", gains)  # (stages, 2 K, 2 K) of peaks to landmarks, both less the shape

    def learn(self, shape: np.ndarray, modes: np.ndarray, residual: float) -> None:
        """Take how shapes vary, all in canvas heights.

        shape: (K, 2) mean; modes: (R, K, 2) principal components, each one standard deviation long; residual:
        the standard deviation of a coordinate that they leave over.
        """
        axes = modes.reshape(len(modes), -1)
        prior = axes.T @ axes + residual**2 * np.eye(shape.size)
        prior += _FREE * np.stack([np.outer(axis, axis) for axis in _similarity_axes(shape)]).sum(0)
        noises = self.window**2 * np.array(_NOISE)[:, None, None] * np.eye(len(prior))
        gains = np.linalg.solve(prior + noises, np.broadcast_to(prior, noises.shape)).swapaxes(-1, -2)
        self.shape.copy_(torch.from_numpy(shape))
        self.gains.copy_(torch.from_numpy(gains))

    def forward(self, points: Tensor, logits: Tensor) -> Tensor:
        """(B, K, 2) normalised points, (B, K, h, w) heatmap logits -> (B, K, 2) normalised points."""
        height, width = logits.shape[-2:]
        size = points.new_tensor([width / height, 1.0])  # of the canvas, in its heights
        across, down = (_cells(count, height, points) for count in (width, height))
        heat = (logits - logits.amax((-2, -1), keepdim=True)).exp()
        places = points * size
        for gain in cast(Iterable[Tensor], self.gains.unbind()):
            for _ in range(_PASSES):
                away = self._local_means(places, heat, across, down) - self.shape
                places = self.shape + (away.flatten(1) @ gain.T).unflatten(1, self.shape.shape)
        return places / size

    def _local_means(self, places: Tensor, heat: Tensor, across: Tensor, down: Tensor) -> Tensor:
        """(B, K, 2) mean place of each heatmap within the window around each place."""
        seen_across = self._seen(places[..., :1], across)  # (B, K, w)
        seen_down = self._seen(places[..., 1:], down)  # (B, K, h)
        rows = seen_down * (heat @ seen_across[..., None]).squeeze(-1)
        columns = seen_across * (seen_down[..., None, :] @ heat).squeeze(-2)
        total = rows.sum(-1, keepdim=True) + _EMPTY
        found = torch.cat([columns @ across[:, None], rows @ down[:, None]], -1)
        return (found + _EMPTY * places) / total

    def _seen(self, places: Tensor, cells: Tensor) -> Tensor:
        return (-0.5 * ((cells - places) / self.window).square()).exp()


def _cells(count: int, height: int, like: Tensor) -> Tensor:
    """(count,) centres of cells, in heights of the map."""
    return (torch.arange(count, device=like.device, dtype=like.dtype) + 0.5) / height


def _similarity_axes(shape: np.ndarray) -> np.ndarray:
    """(4, 2 K) how a shift along x, along y, a growth and a turn move (K, 2) landmarks."""
    about = shape - shape.mean(0)
    about = about / np.sqrt((about**2).sum(-1).mean())
    ones, zeros = np.ones(len(shape)), np.zeros(len(shape))
    shifts = np.stack([ones, zeros], -1), np.stack([zeros, ones], -1)
    turn = np.stack([-about[:, 1], about[:, 0]], -1)
    return np.stack([axis.ravel() for axis in (*shifts, about, turn)])

"""The cells of several feature maps as one row of tokens, and which of them an image covers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pyramid:
    """L maps of a batch whose images lie in the upper left corner of their canvas.

    Tokens run level by level, row by row: S in all. An image covers ``counts`` cells of a map, the others
    are padding. ``whole``: no image has padding, known without a look at a tensor.
    """

    shapes: tuple[tuple[int, int], ...]  # (rows, columns) of each map
    counts: Tensor  # (B, L, 2) covered columns and rows, float32 or float64
    whole: bool

    @cached_property
    def cells(self) -> Tensor:
        """(L, 2) columns and rows of the maps."""
        return self.counts.new_tensor([(columns, rows) for rows, columns in self.shapes])

    @cached_property
    def ratios(self) -> Tensor:
        """(B, L, 2) the share of the columns and rows that an image covers."""
        return self.counts / self.cells

    @cached_property
    def lengths(self) -> list[int]:
        """Tokens of each level."""
        return [rows * columns for rows, columns in self.shapes]

    @cached_property
    def level(self) -> Tensor:
        """(S,) level of each token."""
        levels = torch.arange(len(self.shapes), device=self.counts.device)
        return torch.cat([level.expand(n) for level, n in zip(levels, self.lengths, strict=True)])

    @cached_property
    def column(self) -> Tensor:
        """(S,) column of each token in its map."""
        device = self.counts.device
        return torch.cat([torch.arange(w, device=device).repeat(h) for h, w in self.shapes])

    @cached_property
    def row(self) -> Tensor:
        """(S,) row of each token in its map."""
        device = self.counts.device
        return torch.cat([torch.arange(h, device=device).repeat_interleave(w) for h, w in self.shapes])

    @cached_property
    def middles(self) -> Tensor:
        """(S, 2) centres of the cells, in columns and rows of their map."""
        return torch.stack([self.column, self.row], -1) + self.counts.new_tensor(0.5)

    @cached_property
    def centres(self) -> Tensor:
        """(B, S, 2) centres of the cells, relative to the covered part of their map."""
        return self.middles / self.counts[:, self.level]

    @cached_property
    def references(self) -> Tensor:
        """(B, S, L, 2) the tokens' places in parts of the canvas of every level."""
        return self.centres[:, :, None] * self.ratios[:, None]

    @cached_property
    def padded(self) -> Tensor:
        """(B, S) bool: tokens that the image does not cover."""
        limits = self.counts[:, self.level]  # (B, S, 2)
        return (self.column >= limits[..., 0]) | (self.row >= limits[..., 1])

    def maps(self, tokens: Tensor) -> list[Tensor]:
        """(B, S, ...) -> L maps (B, ..., rows, columns)."""
        parts = tokens.split(self.lengths, dim=1)
        return [
            part.movedim(1, -1).unflatten(-1, shape) for part, shape in zip(parts, self.shapes, strict=True)
        ]

    def covered(self) -> list[Tensor] | None:
        """L masks (B, 1, rows, columns), 1 where an image is and 0 in its padding; None without padding."""
        if self.whole:
            return None
        return self.maps((~self.padded).to(self.counts.dtype)[..., None])


def tokens(maps: Sequence[Tensor]) -> Tensor:
    """L maps (B, C, rows, columns) -> (B, S, C)."""
    return torch.cat([m.flatten(2).transpose(1, 2) for m in maps], dim=1)


def take(values: Tensor, index: Tensor) -> Tensor:
    """The tokens (B, S, C) at (B, n) -> (B, n, C)."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))


def put(values: Tensor, index: Tensor, new: Tensor) -> Tensor:
    """``values`` (B, S, C) with ``new`` (B, n, C) in the places of the tokens (B, n)."""
    return values.scatter(1, index[..., None].expand(-1, -1, values.shape[-1]), new)


def touched_cells(
    shapes: Sequence[tuple[int, int]], sizes: Tensor, strides: Sequence[int], dtype: torch.dtype
) -> Tensor:
    """(B, L, 2) columns and rows that hold at least one pixel of the image: independent of the canvas.

    ``sizes``: (B, 2) width and height of the images in pixels.
    """
    limits = sizes.new_tensor([(columns, rows) for rows, columns in shapes])
    steps = sizes.new_tensor(strides)[:, None]
    return torch.minimum(-(-sizes[:, None] // steps), limits).clamp(min=1).to(dtype)


def nearest_cells(
    shapes: Sequence[tuple[int, int]], sizes: Tensor, canvas: tuple[int, int], dtype: torch.dtype
) -> Tensor:
    """(B, L, 2) columns and rows whose nearest pixel of the canvas (height, width) is one of the image.

    What a nearest-neighbour interpolation of the padding mask gives, rounding in float32 included.
    """
    counts = []
    for rows, columns in shapes:
        pair = []
        for axis, (cells, side) in enumerate(((columns, canvas[1]), (rows, canvas[0]))):
            scale = torch.tensor(side / cells, dtype=torch.float32)
            pixel = (torch.arange(cells, dtype=torch.float32) * scale).floor().to(sizes.device)
            pair.append((pixel < sizes[:, axis, None]).sum(-1))
        counts.append(torch.stack(pair, -1))
    return torch.stack(counts, 1).to(dtype)


def wide(dtype: torch.dtype) -> torch.dtype:
    """The type of coordinates beside features of ``dtype``: never less than float32."""
    return torch.promote_types(dtype, torch.float32)

"""A canvas looked at in overlapping windows, whose maps are blended into one."""

from collections.abc import Callable

import torch
from torch import Tensor

MapsOf = Callable[[Tensor], Tensor]  # (1, C, h, w) images -> (1, K, h / stride, w / stride) logits
_SPREAD = 1 / 4  # standard deviation of a window's weights as a share of its side
_LEAST = 1e-3  # weight of a window's corner against its centre: no pixel is without weight


def window_starts(length: int, window: int, overlap: float, step_of: int) -> list[int]:
    """Where windows begin along an axis: evenly, the last one flush with the end, all covered.

    Neighbours share at least ``overlap`` of their length. All starts are multiples of ``step_of``, the
    coarsest stride of a model, so that its cells lie as they would in the whole canvas. One start, 0, where
    the canvas is no longer than a window. Raises ValueError unless ``step_of`` divides both lengths.
    """
    if length % step_of or window % step_of:
        raise ValueError(
            f"canvas of {length} and window of {window} pixels, expected multiples of {step_of}."
        )
    if not 0.0 <= overlap < 1.0:
        raise ValueError(
            f"windows that overlap by {overlap}: expected a share from 0 to below 1, such as 0.5."
        )
    if length <= window:
        return [0]
    step = max(int(window * (1.0 - overlap)) // step_of, 1) * step_of
    starts = list(range(0, length - window, step))
    return [*starts, length - window]


def window_weights(height: int, width: int) -> Tensor:
    """(height, width) Gaussian weights with their peak in the middle: a network knows its borders least."""
    axes = [(torch.arange(side) + 0.5) / side - 0.5 for side in (height, width)]
    down, across = (torch.exp(-axis.square() / (2 * _SPREAD**2)) for axis in axes)
    weights = down[:, None] * across
    return weights.clamp(min=_LEAST * float(weights.max()))


def maps_in_windows(
    maps_of: MapsOf, images: Tensor, *, window: tuple[int, int], overlap: float, step_of: int = 32
) -> Tensor:
    """(1, K, H / stride, W / stride) float16 logits of (1, C, H, W) images, seen through windows.

    Logits of windows that share a place are averaged by the windows' weights; so a model that judges every
    pixel alone gives exactly what it gives of the whole image. Rows that no further window reaches are stored
    in half precision: the sums in single precision are never larger than a row of windows.
    """
    height, width = images.shape[-2:]
    tall, wide = min(window[0], height), min(window[1], width)
    rows = window_starts(height, tall, overlap, step_of)
    columns = window_starts(width, wide, overlap, step_of)
    blended = _Blended((height, width), (tall, wide))
    for row, following in zip(rows, [*rows[1:], height], strict=True):
        for column in columns:
            blended.add(maps_of(images[..., row : row + tall, column : column + wide]), row, column)
        blended.finish(following)
    return blended.maps


class _Blended:
    """Weighted sums of the maps of one row of windows, and the finished rows above it."""

    def __init__(self, canvas: tuple[int, int], window: tuple[int, int]) -> None:
        self._canvas, self._window = canvas, window
        self._stride, self._top = 0, 0  # stride of the maps, unknown before the first; first open row
        self.maps = torch.empty(0)

    def add(self, maps: Tensor, row: int, column: int) -> None:
        """Add the maps of the window that begins at (row, column) of the canvas."""
        if not self._stride:
            self._begin(maps)
        top, left = row // self._stride - self._top, column // self._stride
        height, width = maps.shape[-2:]
        part = (..., slice(top, top + height), slice(left, left + width))
        self._sums[part] += maps.float() * self._weights
        self._totals[part] += self._weights

    def finish(self, row: int) -> None:
        """No further window begins above ``row`` of the canvas."""
        done = row // self._stride - self._top
        if not (self._totals[:done] > 0).all():
            raise AssertionError(f"windows leave a gap above row {row}")
        self.maps[..., self._top : self._top + done, :] = self._sums[..., :done, :] / self._totals[:done]
        self._top += done
        for sums in (self._sums, self._totals):
            open_rows = sums.shape[-2] - done
            sums[..., :open_rows, :] = sums[..., done:, :].clone()
            sums[..., open_rows:, :] = 0.0

    def _begin(self, maps: Tensor) -> None:
        self._stride = self._window[0] // maps.shape[-2]
        self._weights = window_weights(*maps.shape[-2:]).to(maps.device)
        rows, columns = (side // self._stride for side in (self._window[0], self._canvas[1]))
        self._sums = maps.new_zeros((*maps.shape[:2], rows, columns), dtype=torch.float32)
        self._totals = self._sums.new_zeros((rows, columns))
        self.maps = maps.new_zeros(
            (*maps.shape[:2], self._canvas[0] // self._stride, columns), dtype=torch.float16
        )

"""What a batch of cases is, whatever is annotated on them.

A task adds its annotation in a class of its own, made by a ``collate`` of its own from ``stacked``
(``datasets.landmarks.batch``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from transforms.sample import Sample


@dataclass(frozen=True, kw_only=True)
class Batch:
    """B cases on one canvas size, as the model sees them."""

    images: Tensor  # (B, C, H, W) float32 in [0, 1]; C = 1 grey, 3 RGB
    to_source: Tensor  # (B, 3, 3) float64, canvas pixels -> source pixels
    spacing: Tensor  # (B, 2) float64, mm per source pixel along x and y; NaN where unknown
    cases: tuple[str, ...]

    @property
    def canvas(self) -> Tensor:
        """(2,) float64: width and height of the canvas in pixels."""
        return torch.tensor(self.images.shape[:1:-1], dtype=torch.float64, device=self.images.device)

    @property
    def mm_per_unit(self) -> Tensor:
        """(B, 2) float32: mm per normalised unit along the canvas axes.

        The mean of the two spacings stands for both axes, since a rotated canvas mixes them; exact for
        the square pixels of X-ray detectors. Used by losses and scales, never by reported errors.
        """
        linear = self.to_source[:, :2, :2]
        zoom = torch.linalg.det(linear).abs().sqrt()  # source pixels per canvas pixel
        return (zoom[:, None] * self.spacing.mean(-1, keepdim=True) * self.canvas).float()

    def to_source_pixels(self, points: Tensor) -> Tensor:
        """(B, K, 2) normalised -> (B, K, 2) float64 pixels of the source images."""
        pixels = points.double() * self.canvas
        linear, shift = self.to_source[:, :2, :2], self.to_source[:, None, :2, 2]
        return pixels @ linear.mT + shift

    def to(self, device: torch.device | str) -> Self:
        """Every tensor on ``device``; a list of tensors or of dicts of tensors counts as tensors."""
        return replace(self, **{f.name: _moved(getattr(self, f.name), device) for f in fields(self)})

    def __len__(self) -> int:
        return len(self.cases)


def stacked(samples: Sequence[Sample]) -> dict[str, Any]:
    """The fields of ``Batch`` from samples of one canvas size. Raises ValueError when the sizes differ."""
    sizes = {sample.size for sample in samples}
    if len(sizes) != 1:
        raise ValueError(
            f"cases {[sample.case for sample in samples]}: canvas sizes {sorted(sizes)} in one batch, "
            "expected one. End the transforms with a Letterbox."
        )
    return {"images": images_of(samples), **ways_back(samples)}


def images_of(samples: Sequence[Sample]) -> Tensor:
    """(B, C, H, W) float32 in [0, 1] from the images of samples of one size."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    images = images[:, None] if images.ndim == 3 else images.movedim(-1, 1)
    return images.float() / 255.0


def ways_back(samples: Sequence[Sample]) -> dict[str, Any]:
    """The fields of ``Batch`` that say where the cases come from, on canvases of any size."""
    return {
        "to_source": torch.from_numpy(np.stack([sample.to_source for sample in samples])),
        "spacing": torch.from_numpy(np.stack([sample.spacing for sample in samples])),
        "cases": tuple(sample.case for sample in samples),
    }


def _moved(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: _moved(item, device) for key, item in value.items()}
    return type(value)(_moved(item, device) for item in value) if isinstance(value, list | tuple) else value

"""What a batch of cases is.

This is the only place where pixels become normalised coordinates (``collate``) and where normalised
coordinates become source pixels again (``Batch.to_source_pixels``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from transforms.sample import Sample

__all__ = ["Batch", "Sample", "collate"]


@dataclass(frozen=True)
class Batch:
    """B cases on one canvas size, as the model sees them."""

    images: Tensor  # (B, 1, H, W) float32 in [0, 1]
    points: Tensor  # (B, K, 2) float32, normalised by the canvas size; NaN where missing
    to_source: Tensor  # (B, 3, 3) float64, canvas pixels -> source pixels
    spacing: Tensor  # (B, 2) float64, mm per source pixel along x and y
    cases: tuple[str, ...]

    @property
    def present(self) -> Tensor:
        """(B, K) bool: which landmarks are annotated."""
        return ~self.points.isnan().any(-1)

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

    def to(self, device: torch.device | str) -> "Batch":
        tensors = {name: getattr(self, name).to(device, non_blocking=True) for name in _TENSORS}
        return replace(self, **tensors)

    def __len__(self) -> int:
        return len(self.cases)


_TENSORS = ("images", "points", "to_source", "spacing")


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of equal canvas size.

    Raises ValueError when the sizes or the numbers of landmarks differ.
    """
    sizes = {sample.size for sample in samples}
    counts = {len(sample.points) for sample in samples}
    if len(sizes) != 1 or len(counts) != 1:
        raise ValueError(
            f"cases {[sample.case for sample in samples]}: canvas sizes {sorted(sizes)} and landmark counts "
            f"{sorted(counts)} in one batch, expected one of each. End the transforms with a Letterbox."
        )
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    points = np.stack([sample.points / np.array(sample.size, np.float64) for sample in samples])
    return Batch(
        images=images[:, None].float() / 255.0,
        points=torch.from_numpy(points).float(),
        to_source=torch.from_numpy(np.stack([sample.to_source for sample in samples])),
        spacing=torch.from_numpy(np.stack([sample.spacing for sample in samples])),
        cases=tuple(sample.case for sample in samples),
    )

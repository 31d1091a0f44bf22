"""What a batch of cases is, whatever is annotated on them.

A task adds its annotation in a class of its own, made by a ``collate`` of its own from ``stacked``
(``datasets.landmarks.batch``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from transforms.sample import Sample


@dataclass(frozen=True, kw_only=True)
class Batch:
    """B cases on one canvas size, as the model sees them."""

    images: Tensor  # (B, C, H, W) uint8 as stacked, float32 in [0, 1] from ``to`` on; C = 1 grey, 3 RGB
    to_source: Tensor  # (B, 3, 3) float64, canvas pixels -> source pixels
    spacing: Tensor  # (B, 2) float64, mm (or the data's unit) per source pixel, x and y; NaN where unknown
    cases: tuple[str, ...]

    @property
    def canvas(self) -> Tensor:
        """(2,) float64: width and height of the canvas in pixels."""
        return torch.tensor(self.images.shape[:1:-1], dtype=torch.float64, device=self.images.device)

    @property
    def mm_per_unit(self) -> Tensor:
        """(B, 2) float32: mm per normalised unit along the canvas axes.

        Pixels of a canvas are squares on the patient, whatever those of the source are
        (``transforms.augment``). Used by losses and scales, never by reported errors.
        """
        linear = self.to_source[:, :2, :2]
        zoom = torch.linalg.det(linear).abs().sqrt()  # source pixels per canvas pixel
        return (zoom[:, None] * self.spacing.prod(-1, keepdim=True).sqrt() * self.canvas).float()

    def to_source_pixels(self, points: Tensor) -> Tensor:
        """(B, K, 2) normalised -> (B, K, 2) float64 pixels of the source images."""
        pixels = points.double() * self.canvas
        linear, shift = self.to_source[:, :2, :2], self.to_source[:, None, :2, 2]
        return pixels @ linear.mT + shift

    def to(self, device: torch.device | str) -> Self:
        """Every tensor on ``device``; a list of tensors or of dicts of tensors counts as tensors.

        Images travel as uint8, a quarter of the bytes, and become what a model sees there.
        """
        moved = self._each(lambda tensor: tensor.to(device, non_blocking=True))
        return replace(moved, images=in_unit_range(moved.images))

    def pin_memory(self) -> Self:
        """Every tensor in memory that a GPU can fetch by itself; the loader asks for it."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        return replace(self, **{f.name: _changed(getattr(self, f.name), change) for f in fields(self)})

    def __len__(self) -> int:
        return len(self.cases)


def plain_fields(batch: Batch) -> dict[str, Any]:
    """The tensors, numbers and names of ``batch``, for a file of plain data; other objects are left out."""
    content = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in content.items()
        if _is_plain(value)
    }


def stacked(samples: Sequence[Sample]) -> dict[str, Any]:
    """The fields of ``Batch`` from samples of one canvas size. Raises ValueError when the sizes differ."""
    sizes = {sample.size for sample in samples}
    if len(sizes) != 1:
        raise ValueError(
            f"cases {[sample.case for sample in samples]}: canvas sizes {sorted(sizes)} in one batch, "
            "expected one. End the transforms with a Letterbox."
        )
    return {"images": _pixels_of(samples), **ways_back(samples)}


def images_of(samples: Sequence[Sample]) -> Tensor:
    """(B, C, H, W) float32 in [0, 1] from the images of samples of one size."""
    return in_unit_range(_pixels_of(samples))


def in_unit_range(images: Tensor) -> Tensor:
    """uint8 images as float32 in [0, 1], the same bits on every device; others as they are."""
    if images.dtype != torch.uint8:
        return images
    # by a tensor: a GPU multiplies by 1 / 255 where it is asked to divide by a number, and rounds otherwise
    return images.float() / torch.full((), 255.0, device=images.device)


def _pixels_of(samples: Sequence[Sample]) -> Tensor:
    """(B, C, H, W) uint8 from the images of samples of one size."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    return images[:, None] if images.ndim == 3 else images.movedim(-1, 1)


def ways_back(samples: Sequence[Sample]) -> dict[str, Any]:
    """The fields of ``Batch`` that say where the cases come from, on canvases of any size."""
    return {
        "to_source": torch.from_numpy(np.stack([sample.to_source for sample in samples])),
        "spacing": torch.from_numpy(np.stack([sample.spacing for sample in samples])),
        "cases": tuple(sample.case for sample in samples),
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, (*value, *value.values())))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return isinstance(value, Tensor | str | int | float)


def _changed(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _changed(item, change) for key, item in value.items()}
    return type(value)(_changed(item, change) for item in value) if isinstance(value, list | tuple) else value

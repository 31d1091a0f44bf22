"""Batches of images with boxes: one canvas for all, or each image in the corner of the largest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from datasets.boxes.sample import BoxSample

STRIDE = 32  # pixels: width and height of a batch are multiples of it


@dataclass(frozen=True, kw_only=True)
class BoxBatch:
    """B images with their boxes, as the model sees them.

    ``targets`` has a dict an image: ``boxes`` (N, 4) float32, left, top, right, bottom in canvas pixels,
    ``labels`` (N,) int64 and ``ignored`` (N,) bool. N may be 0.
    """

    images: Tensor  # (B, C, H, W) float32 in [0, 1]; C = 1 grey, 3 RGB; 0 in the padding
    targets: tuple[dict[str, Tensor], ...]
    sizes: Tensor  # (B, 2) int64, width and height of each image; right of and below it is padding
    to_source: Tensor  # (B, 3, 3) float64, canvas pixels -> source pixels
    spacing: Tensor  # (B, 2) float64, mm per source pixel along x and y; NaN where unknown
    cases: tuple[str, ...]

    def to(self, device: torch.device | str) -> Self:
        tensors = {name: getattr(self, name).to(device, non_blocking=True) for name in _TENSORS}
        targets = tuple(
            {name: values.to(device, non_blocking=True) for name, values in target.items()}
            for target in self.targets
        )
        return replace(self, targets=targets, **tensors)

    def __len__(self) -> int:
        return len(self.cases)


_TENSORS = ("images", "sizes", "to_source", "spacing")


def collate_boxes(samples: Sequence[BoxSample]) -> BoxBatch:
    """Pad every image right and below to the largest, rounded up to multiples of 32.

    Images of one size that is a multiple of 32, a fixed canvas, are stacked as they are. Raises ValueError
    when grey and colour images meet.
    """
    channels = {sample.image.ndim for sample in samples}
    if len(channels) != 1:
        raise ValueError(
            f"cases {[sample.case for sample in samples]}: grey and colour images in one batch, expected "
            "one of them. Open the data as grey."
        )
    sizes = np.array([sample.size for sample in samples])  # (B, 2)
    width, height = -(-sizes.max(0) // STRIDE) * STRIDE
    colours = samples[0].image.shape[2:]
    padded = np.zeros((len(samples), height, width, *colours), np.uint8)
    for canvas, sample in zip(padded, samples, strict=True):
        canvas[: sample.size[1], : sample.size[0]] = sample.image
    images = torch.from_numpy(padded)
    images = images.movedim(-1, 1) if colours else images[:, None]  # (B, C, H, W)
    return BoxBatch(
        images=images.float() / 255.0,
        targets=tuple(map(_target, samples)),
        sizes=torch.from_numpy(sizes),
        to_source=torch.from_numpy(np.stack([sample.to_source for sample in samples])),
        spacing=torch.from_numpy(np.stack([sample.spacing for sample in samples])),
        cases=tuple(sample.case for sample in samples),
    )


def _target(sample: BoxSample) -> dict[str, Tensor]:
    return {
        "boxes": torch.from_numpy(sample.boxes).float().reshape(-1, 4),
        "labels": torch.from_numpy(sample.labels).long(),
        "ignored": torch.from_numpy(sample.ignored).bool(),
    }

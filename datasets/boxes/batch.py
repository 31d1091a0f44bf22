"""Batches of images with boxes: one canvas for all, or each image in the corner of the largest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from datasets.boxes.sample import BoxSample
from datasets.sample import Batch, in_unit_range, ways_back

STRIDE = 32  # pixels: width and height of a batch are multiples of it


@dataclass(frozen=True, kw_only=True)
class BoxBatch(Batch):
    """B images with their boxes, as the model sees them.

    ``targets`` has a dict an image: ``boxes`` (N, 4) float32, left, top, right, bottom in canvas pixels,
    ``labels`` (N,) int64, ``ignored`` (N,) bool, and in the source image ``source_boxes`` (N, 4) float64 and
    ``areas`` (N,) float64, both in its pixels. N may be 0. Padding is 0 in ``images``.
    """

    targets: tuple[dict[str, Tensor], ...]
    sizes: Tensor  # (B, 2) int64, width and height of each image; right of and below it is padding
    source_sizes: Tensor  # (B, 2) int64, width and height of each source image


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
        images=images,
        targets=tuple(map(_target, samples)),
        sizes=torch.from_numpy(sizes),
        source_sizes=torch.tensor([sample.source_size for sample in samples]),
        **ways_back(samples),
    )


def with_channels(images: Tensor, channels: int) -> Tensor:
    """(B, C, H, W) -> (B, ``channels``, H, W) in [0, 1]: grey three times, or the luma (BT.601) of RGB."""
    images = in_unit_range(images)
    if images.shape[1] == channels:
        return images
    if channels == 1:
        weights = images.new_tensor([0.299, 0.587, 0.114])
        return (images * weights[:, None, None]).sum(1, keepdim=True)
    return images.expand(-1, channels, -1, -1)


def _target(sample: BoxSample) -> dict[str, Tensor]:
    return {
        "boxes": torch.from_numpy(sample.boxes).float().reshape(-1, 4),
        "labels": torch.from_numpy(sample.labels).long(),
        "ignored": torch.from_numpy(sample.ignored).bool(),
        "source_boxes": torch.from_numpy(sample.source_boxes).double().reshape(-1, 4),
        "areas": torch.from_numpy(sample.areas).double(),
    }

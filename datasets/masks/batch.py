"""Batches of X-rays with overlapping structures, targets packed a bit a class and pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from datasets.masks.class_set import ClassSet
from datasets.masks.sample import MaskSample
from datasets.masks.shape import Shape
from datasets.sample import Batch, stacked


@dataclass(frozen=True, kw_only=True)
class MaskBatch(Batch):
    """B cases on one canvas size, each with K structures.

    The targets of 29 classes at 2048 x 2048 take 16.8 MB an image; as bool they would take 122 MB, as
    float32 486 MB. ``shapes`` and ``source_sizes`` hold the truth in source pixels, as run lengths or
    polygons, for what is measured there.
    """

    class_set: ClassSet
    persons: tuple[str, ...]  # whose image each is; images of one person are not independent
    packed: Tensor  # (B, bytes, H, W) uint8: class k is bit k % 8 of byte k // 8
    known: Tensor  # (B, K) bool: whether someone looked for the class; where not, its pixels say nothing
    attributes: Tensor  # (B, A) int64: index of the value of each attribute of the class set, -1 unknown
    shapes: tuple[tuple[Shape, ...], ...]  # B times K, in source pixels
    source_sizes: tuple[tuple[int, int], ...]  # B times (width, height)

    @property
    def targets(self) -> Tensor:
        """(B, K, H, W) bool: all structures as pixels of the canvas, made anew each time."""
        return unpacked(self.packed, self.known.shape[1])

    def target(self, index: int) -> Tensor:
        """(B, H, W) bool: one structure as pixels of the canvas."""
        return (self.packed[:, index // 8] >> (index % 8) & 1).bool()

    @property
    def present(self) -> Tensor:
        """(B, K) bool: whether the canvas shows any pixel of the class."""
        return torch.stack([self.target(k).flatten(1).any(1) for k in range(self.known.shape[1])], 1)


def unpacked(packed: Tensor, num_classes: int) -> Tensor:
    """(B, bytes, H, W) uint8 -> (B, K, H, W) bool, on the device of ``packed``."""
    bits = torch.arange(8, dtype=torch.uint8, device=packed.device)[:, None, None]
    planes = (packed[:, :, None] >> bits & 1).bool()  # (B, bytes, 8, H, W)
    return planes.flatten(1, 2)[:, :num_classes]


def collate(samples: Sequence[MaskSample]) -> MaskBatch:
    """Stack samples of equal canvas size; here polygons become pixels.

    Raises ValueError when the sizes or the classes differ.
    """
    classes = {sample.class_set.classes for sample in samples}
    if len(classes) != 1:
        raise ValueError(
            f"cases {[sample.case for sample in samples]}: {len(classes)} sets of classes in one batch, "
            "expected one. Prepare the data anew."
        )
    packed = np.stack([sample.packed().transpose(2, 0, 1) for sample in samples])
    return MaskBatch(
        class_set=samples[0].class_set,
        persons=tuple(sample.person for sample in samples),
        packed=torch.from_numpy(packed),
        known=torch.tensor([sample.known for sample in samples]),
        attributes=torch.tensor([sample.attributes for sample in samples], dtype=torch.int64),
        shapes=tuple(sample.shapes for sample in samples),
        source_sizes=tuple(sample.source_size for sample in samples),
        **stacked(samples),
    )

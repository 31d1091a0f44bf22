"""Batches of X-rays with landmarks.

This is the only place where pixels become normalised coordinates (``collate``); ``Batch.to_source_pixels``
is the way back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from datasets.sample import Batch, stacked
from transforms.sample import PointSample


@dataclass(frozen=True, kw_only=True)
class PointBatch(Batch):
    """B cases of K landmarks."""

    points: Tensor  # (B, K, 2) float32, normalised by the canvas size; NaN where missing

    @property
    def present(self) -> Tensor:
        """(B, K) bool: which landmarks are annotated."""
        return ~self.points.isnan().any(-1)


def collate(samples: Sequence[PointSample]) -> PointBatch:
    """Stack samples of equal canvas size.

    Raises ValueError when the sizes or the numbers of landmarks differ.
    """
    counts = {len(sample.points) for sample in samples}
    if len(counts) != 1:
        raise ValueError(
            f"cases {[sample.case for sample in samples]}: landmark counts {sorted(counts)} in one batch, "
            "expected one. Prepare the data anew."
        )
    points = [sample.points / np.array(sample.size, np.float64) for sample in samples]
    return PointBatch(points=torch.from_numpy(np.stack(points)).float(), **stacked(samples))

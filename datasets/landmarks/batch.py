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
from transforms.sample import MILLIMETRES, PointSample


@dataclass(frozen=True, kw_only=True)
class PointBatch(Batch):
    """B cases of K landmarks."""

    points: Tensor  # (B, K, 2) float32, normalised by the canvas size; NaN where missing
    unit: str = MILLIMETRES  # of ``spacing`` and all lengths that follow from it

    @property
    def present(self) -> Tensor:
        """(B, K) bool: which landmarks are annotated."""
        return ~self.points.isnan().any(-1)


def collate(samples: Sequence[PointSample]) -> PointBatch:
    """Stack samples of equal canvas size.

    Raises ValueError when the sizes, the numbers of landmarks or the units of length differ.
    """
    counts = {len(sample.points) for sample in samples}
    if len(counts) != 1:
        raise ValueError(
            f"cases {[sample.case for sample in samples]}: landmark counts {sorted(counts)} in one batch, "
            "expected one. Prepare the data anew."
        )
    units = {sample.unit for sample in samples}
    if len(units) != 1:
        raise ValueError(
            f"lengths in {sorted(units)} in one batch, expected one unit. Prepare the data anew."
        )
    points = [sample.points / np.array(sample.size, np.float64) for sample in samples]
    return PointBatch(
        points=torch.from_numpy(np.stack(points)).float(), unit=samples[0].unit, **stacked(samples)
    )

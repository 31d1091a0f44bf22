"""The constant part of the errors: where a model and the labels mean different points by one name.

Two people who annotate, or one in two years, differ by an offset per landmark that no training on the labels
of one can teach about the other. It is told apart from the rest here, since it asks for other labels, not for
a better model.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from util.evaluation.landmarks.metrics import Errors, json_ready


@dataclass(frozen=True)
class Systematic:
    """The mean error vector of each landmark, and what is left of the errors without it.

    From every error the mean over the *other* images is taken, so that chance is not mistaken for an offset:
    without any, ``radial_mm`` has a slightly larger mean than the errors themselves.
    """

    offset_mm: np.ndarray  # (K, 2) prediction less truth, right and down; NaN where nothing is annotated
    radial_mm: np.ndarray  # (N, K) what is left; NaN where missing, or annotated in one image only

    @property
    def mre_mm(self) -> float:
        """Mean of ``radial_mm``; NaN where no landmark is annotated twice."""
        left = self.radial_mm[~np.isnan(self.radial_mm)]
        return float(left.mean()) if left.size else float("nan")

    def largest(self, count: int) -> list[int]:
        """The landmarks of the longest offsets, longest first."""
        length = np.linalg.norm(self.offset_mm, axis=-1)
        ranked = np.argsort(-np.nan_to_num(length), kind="stable")
        return [int(k) for k in ranked[:count] if np.isfinite(length[k])]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"offset_mm": json_ready(self.offset_mm), "mre_without_mm": json_ready(self.mre_mm)}


def systematic(errors: Errors) -> Systematic:
    """Split the errors of N images into an offset a landmark and the rest."""
    vectors = errors.vectors_mm  # (N, K, 2)
    present = ~np.isnan(vectors).any(-1, keepdims=True)  # (N, K, 1)
    count = present.sum(0)  # (K, 1)
    total = np.where(present, vectors, 0.0).sum(0)  # (K, 2)
    offset = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    others = np.divide(total - vectors, count - 1, out=np.full_like(vectors, np.nan), where=count > 1)
    return Systematic(offset, np.linalg.norm(vectors - others, axis=-1))

"""Every number of every image that was evaluated: what evaluators collect and processes concatenate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from datasets.masks.class_set import ClassSet
from util.evaluation.masks.edge_calibration import EdgeCalibration
from util.evaluation.masks.mask_metrics import NUMBERS


@dataclass(frozen=True)
class MaskResults:
    """N images of K classes: numbers only, no pixels; it can be pickled."""

    class_set: ClassSet
    thresholds: tuple[float, ...]  # (K,) of the probabilities
    cases: tuple[str, ...]
    persons: tuple[str, ...]  # (N,) whose image it is; images of one person are not independent
    spacing: np.ndarray  # (N, 2) mm per source pixel along x and y, NaN where unknown
    numbers: np.ndarray  # (N, K, len(NUMBERS)), NaN where not counted
    calibration: tuple[EdgeCalibration, ...]  # (K,) over all images

    def of(self, name: str) -> np.ndarray:
        """(N, K) one of ``mask_metrics.NUMBERS``."""
        return self.numbers[..., NUMBERS.index(name)]

    @property
    def in_mm(self) -> np.ndarray:
        """(N,) bool: whether an image's lengths are in mm, or in pixels."""
        return np.isfinite(self.spacing[:, 0]) & np.isfinite(self.spacing[:, 1])

    @property
    def length_unit(self) -> str:
        """What ``lengths`` are in: mm, or px where no image has a spacing."""
        return "mm" if self.in_mm.any() else "px"

    def lengths(self, name: str) -> np.ndarray:
        """(N, K) one of the lengths of ``of``, NaN in images without a spacing where others have one: mm and
        pixels have no common mean.
        """
        return np.where((self.in_mm == self.in_mm.any())[:, None], self.of(name), np.nan)

    def persons_of(self, kept: np.ndarray) -> tuple[str, ...]:
        """The persons of the images where ``kept`` (N,) is true."""
        return tuple(person for person, keep in zip(self.persons, kept, strict=True) if keep)

    def only(self, kept: np.ndarray) -> "MaskResults":
        """The images where ``kept`` (N,) is true. The calibration stays that of all."""
        return replace(
            self,
            cases=tuple(case for case, keep in zip(self.cases, kept, strict=True) if keep),
            persons=self.persons_of(kept),
            spacing=self.spacing[kept],
            numbers=self.numbers[kept],
        )


def concatenate(parts: Sequence[MaskResults]) -> MaskResults:
    """All images of ``parts``, in order. Raises ValueError when there is none."""
    if not any(len(part.cases) for part in parts):
        raise ValueError("no image was evaluated, expected at least one. Check the subset's name and folder.")
    columns = zip(*(part.calibration for part in parts), strict=True)
    return replace(
        parts[0],
        cases=tuple(case for part in parts for case in part.cases),
        persons=tuple(person for part in parts for person in part.persons),
        spacing=np.concatenate([part.spacing for part in parts]),
        numbers=np.concatenate([part.numbers for part in parts]),
        calibration=tuple(sum(column, EdgeCalibration.nothing()) for column in columns),
    )


def worst_images(results: MaskResults, count: int) -> list[int]:
    """Indices of the ``count`` images with the smallest mean Dice, worst first."""
    dice = results.of("dice")
    known = np.isfinite(dice)
    means = np.nan_to_num(dice).sum(1) / np.maximum(known.sum(1), 1)
    ranked = [int(index) for index in np.argsort(means, kind="stable") if known[index].any()]
    return ranked[:count]

"""Cases with augmentation, whatever is annotated on them."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
from torch.utils.data import Dataset

Drawn = TypeVar("Drawn")


class DrawnCases(Dataset[Drawn], Generic[Drawn]):
    """A data set whose ``dataset[index, draw]`` is a pure function of (seed, draw, index).

    So it is the same on every machine and in every worker; ``dataset[index]`` is draw 0. A subclass gives
    ``load``, the case as it lies there.
    """

    transforms: Callable[[Any, np.random.Generator], Any] | None
    seed: int

    def load(self, index: int) -> Drawn:
        """Case ``index`` before any transform."""
        raise NotImplementedError

    def __getitem__(self, key: int | tuple[int, int]) -> Drawn:
        index, draw = key if isinstance(key, tuple) else (key, 0)
        return self._transformed(self.load(index), index, draw)

    def _transformed(self, sample: Drawn, index: int, draw: int) -> Drawn:
        if self.transforms is None:
            return sample
        return self.transforms(sample, np.random.default_rng([self.seed, draw, index]))

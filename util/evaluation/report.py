"""What test.py says of an evaluation, whatever the task."""

from typing import Any, Protocol

import numpy as np


class Evaluation(Protocol):
    """One evaluation of one checkpoint, or of several together, on one subset of data."""

    def text(self) -> str:
        """Tables and sentences for a terminal."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Every number; JSON-ready, no NaN."""
        ...

    def overlay(self, index: int, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB: case ``index`` with truth and prediction drawn on its ``image``."""
        ...

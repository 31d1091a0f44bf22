"""Which checkpoint is the best, and when to give up waiting for a better one."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Selection:
    """Which evaluation was the best so far, and how many in a row since then did not improve on it."""

    select: str  # one of the task's criteria
    patience: int | None
    best: float | None = None  # lower is better
    best_iteration: int = 0
    metrics: dict[str, Any] = field(default_factory=dict)  # of the best
    stale: int = 0  # evaluations since the best

    def update(self, iteration: int, metrics: dict[str, Any], value: float) -> bool:
        """Take note of an evaluation and of what it comes to; whether it is the best so far."""
        if self.best is not None and not value < self.best:
            self.stale += 1
            return False
        self.best, self.best_iteration, self.metrics, self.stale = value, iteration, metrics, 0
        return True

    @property
    def exhausted(self) -> bool:
        return self.patience is not None and self.stale >= self.patience

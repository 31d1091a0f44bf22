"""Which checkpoint is the best, and when to give up waiting for a better one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from util.evaluation.landmarks.metrics import Summary

CRITERIA = ("mre", "sdr2")
_HEADLINE = ("mre_mm", "mre_std_mm", "median_mm", "sdr_percent", "outlier_percent", "num_images")


def headline(summary: Summary) -> dict[str, Any]:
    """The numbers that a checkpoint and a log keep of an evaluation: none per landmark. JSON-ready."""
    numbers = summary.to_dict()
    return {name: numbers[name] for name in _HEADLINE}


def flat(metrics: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Headline numbers under flat names: ``PREFIX/mre_mm``, ``PREFIX/sdr_2.0``, ..."""
    values = {f"{prefix}/{name}": value for name, value in metrics.items() if name != "sdr_percent"}
    return values | {f"{prefix}/sdr_{limit}": share for limit, share in metrics["sdr_percent"].items()}


@dataclass
class Selection:
    """Which evaluation was the best so far, and how many in a row since then did not improve on it."""

    select: str  # one of CRITERIA
    patience: int | None
    best: float | None = None  # MRE in mm, or minus SDR in percent: lower is better
    best_iteration: int = 0
    metrics: dict[str, Any] = field(default_factory=dict)  # of the best
    stale: int = 0  # evaluations since the best

    def update(self, iteration: int, metrics: dict[str, Any]) -> bool:
        """Take note of an evaluation; whether it is the best so far."""
        value = metrics["mre_mm"] if self.select == "mre" else -metrics["sdr_percent"]["2.0"]
        if self.best is not None and value >= self.best:
            self.stale += 1
            return False
        self.best, self.best_iteration, self.metrics, self.stale = value, iteration, metrics, 0
        return True

    @property
    def exhausted(self) -> bool:
        return self.patience is not None and self.stale >= self.patience

"""What every criterion gives back."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LossReport:
    """The loss to minimise, and its parts as they are shown (weighted, detached)."""

    total: Tensor
    parts: dict[str, Tensor]

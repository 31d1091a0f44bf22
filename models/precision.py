"""Where mixed precision ends: coordinates, sampling grids, heads and losses are float32, always.

Measured on this task: bfloat16 coordinates alone cost 0.23 mm root mean square.
"""

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> torch.autocast:
    """A context in which autocast is off on the device of ``tensor``."""
    return torch.autocast(tensor.device.type, enabled=False)

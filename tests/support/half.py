"""fp16 on a CPU: what accelerate only does on a GPU, with torch's scaler and autocast for the CPU."""

from contextlib import AbstractContextManager
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState


class HalfAccelerator(Accelerator):
    """Accelerate as it is on a GPU with ``mixed_precision="fp16"``, but on the CPU."""

    def __init__(self, scale: float = 2.0**16) -> None:
        """``scale``: what the loss is multiplied by at the start."""
        super().__init__(cpu=True)
        AcceleratorState._shared_state["_mixed_precision"] = "fp16"
        self.native_amp = True
        self.scaler: Any = torch.amp.GradScaler("cpu", init_scale=scale)

    def autocast(self, *_: object) -> AbstractContextManager[None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return torch.autocast("cpu", dtype=torch.float16)

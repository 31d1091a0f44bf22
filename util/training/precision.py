"""Which precision a machine can train in."""

import logging

import torch

_log = logging.getLogger(__name__)


def precision_here(asked: str) -> str:
    """``train.mixed_precision`` as this machine runs it: "bf16" becomes "no" where it would be slower.

    A CPU without bfloat16 instructions computes it number by number. Measured on one with AVX2 only, a 3x3
    convolution takes 60 times as long as in float32, and a matrix product 40 times. The change is logged.
    """
    if asked != "bf16" or torch.cuda.is_available() or _fast_bfloat16():
        return asked
    _log.warning(
        "train.mixed_precision=bf16: this CPU (%s) has no fast bfloat16, so the training runs in float32. "
        "Give --mixed-precision no to ask for that.",
        torch.backends.cpu.get_cpu_capability(),
    )
    return "no"


def _fast_bfloat16() -> bool:
    """Whether oneDNN, which computes PyTorch's convolutions and products, has bfloat16 kernels here."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()

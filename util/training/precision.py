"""Which precision a machine can train in."""

import logging

import torch

_log = logging.getLogger(__name__)


def precision_here(asked: str) -> str:
    """``train.mixed_precision`` as this machine runs it: without a GPU "fp16" is "no", and so is slow "bf16".

    A CPU without bfloat16 instructions computes it number by number. Measured on one with AVX2 only, a 3x3
    convolution takes 60 times as long as in float32, and a matrix product 40 times. Accelerate leaves fp16
    out on any CPU. The change is logged.
    """
    if asked == "no" or torch.cuda.is_available() or (asked == "bf16" and _fast_bfloat16()):
        return asked
    slow = f"this CPU ({torch.backends.cpu.get_cpu_capability()}) has no fast bfloat16"
    _log.warning(
        "train.mixed_precision=%s: %s, so the training runs in float32. Give --mixed-precision no to ask for "
        "that.",
        asked,
        slow if asked == "bf16" else "fp16 needs a GPU",
    )
    return "no"


def _fast_bfloat16() -> bool:
    """Whether oneDNN, which computes PyTorch's convolutions and products, has bfloat16 kernels here."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()

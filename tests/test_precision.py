"""Which precision a machine trains in."""

import logging

import pytest
import torch

from util.training import precision
from util.training.precision import precision_here


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("asked", ["no", "bf16", "fp16"])
def test_without_a_gpu_bf16_only_where_it_is_fast_and_no_fp16(monkeypatch, caplog, asked, fast):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(precision, "_fast_bfloat16", lambda: fast)
    replaced = asked == "fp16" or (asked == "bf16" and not fast)
    with caplog.at_level(logging.WARNING):
        assert precision_here(asked) == ("no" if replaced else asked)
    assert ("runs in float32" in caplog.text) == replaced


def test_what_the_processor_says_is_what_it_has():
    """No CPU with AVX2 at most has bfloat16 instructions."""
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"):
        assert not precision._fast_bfloat16()
    else:
        assert isinstance(precision._fast_bfloat16(), bool)

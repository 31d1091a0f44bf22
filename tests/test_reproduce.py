"""Deterministic operations where they are promised, and not where they only cost time."""

import pytest
import torch

from util.training.reproduce import make_deterministic


@pytest.fixture(autouse=True)
def as_before():
    before = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(before, warn_only=True)


@pytest.mark.parametrize("gpu", [False, True])
def test_operations_are_deterministic_on_a_cpu_and_fast_on_a_gpu(monkeypatch, gpu):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    make_deterministic()
    assert torch.are_deterministic_algorithms_enabled() is not gpu

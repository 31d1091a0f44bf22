"""Timing models: calls taken in turn, their ratios, and the share of each part."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

_WARMUP = 3  # rounds before the first that counts
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Stopwatch:
    """Milliseconds of a call. ``wait`` returns when the device has finished what it was given."""

    clock: Callable[[], float]  # seconds
    wait: Callable[[], object]

    @classmethod
    def on(cls, device: torch.device, clock: str = "wall") -> "Stopwatch":
        """``clock``: a key of CLOCKS."""
        wait = partial(torch.cuda.synchronize, device) if device.type == "cuda" else _nothing
        return cls(CLOCKS[clock], wait)

    def now(self) -> float:
        """Milliseconds, after all that was given to the device."""
        self.wait()
        return 1e3 * self.clock()

    def time(self, call: Callable[[], object]) -> float:
        start = self.now()
        call()
        return self.now() - start


def time_in_turn(
    calls: Mapping[str, Callable[[], object]], repeats: int, stopwatch: Stopwatch
) -> dict[str, np.ndarray]:
    """(repeats,) milliseconds of every call, taken A B C A B C ... so that a busy machine slows all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_WARMUP + repeats):
        for name, call in calls.items():
            times[name].append(stopwatch.time(call))
    return {name: np.array(values[_WARMUP:]) for name, values in times.items()}


def ratio(times: np.ndarray, reference: np.ndarray) -> float:
    """How many times as long as ``reference``: median over the rounds, each a pair of neighbours in time."""
    return float(np.median(times / reference))


def time_of_parts(
    model: nn.Module, call: Callable[[], object], *, repeats: int, stopwatch: Stopwatch
) -> dict[str, float]:
    """Median milliseconds of ``call`` spent in each named child of ``model``; "other" is what is left."""
    rounds: list[dict[str, float]] = []
    with _child_timers(model, stopwatch) as spent:
        for _ in range(_WARMUP + repeats):
            spent.clear()
            total = stopwatch.time(call)
            rounds.append({**spent, "other": total - sum(spent.values())})
    return {name: float(np.median([r.get(name, 0.0) for r in rounds[_WARMUP:]])) for name in rounds[-1]}


def matmul_call(device: torch.device, precision: torch.dtype) -> tuple[Callable[[], object], float]:
    """A large square matrix product, and its GFLOPs: the rate that a model can hope for on this machine."""
    size = 8192 if device.type == "cuda" else 1024
    left, right = torch.rand(2, size, size, device=device, dtype=precision)
    return partial(torch.matmul, left, right), 2.0 * size**3 / 1e9


def _nothing() -> None:
    """A CPU has finished when the call returns."""


@contextmanager
def _child_timers(model: nn.Module, stopwatch: Stopwatch) -> Iterator[dict[str, float]]:
    """While open, adds up in the yielded dict the milliseconds that each named child of ``model`` runs."""
    spent: dict[str, float] = {}
    started: dict[str, float] = {}

    def before(name: str, *_: object) -> None:
        started[name] = stopwatch.now()

    def after(name: str, *_: object) -> None:
        spent[name] = spent.get(name, 0.0) + stopwatch.now() - started[name]

    handles = []
    for name, child in model.named_children():
        for module in child if isinstance(child, nn.ModuleList) else [child]:  # a list itself is never called
            handles.append(module.register_forward_pre_hook(partial(before, name)))
            handles.append(module.register_forward_hook(partial(after, name)))
    try:
        yield spent
    finally:
        for handle in handles:
            handle.remove()

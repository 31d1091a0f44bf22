"""Measuring models: time of calls in turn, share of the parts, operations, memory."""

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

_WARMUP = 3  # rounds before the first that counts


def time_in_turn(
    calls: Mapping[str, Callable[[], object]], *, repeats: int, wait: Callable[[], object]
) -> dict[str, np.ndarray]:
    """(repeats,) milliseconds of every call, taken A B C A B C ... so that a busy machine slows all alike.

    ``wait`` returns when the device has finished what it was given.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_WARMUP + repeats):
        for name, call in calls.items():
            times[name].append(_milliseconds(call, wait))
    return {name: np.array(values[_WARMUP:]) for name, values in times.items()}


def ratio(times: np.ndarray, reference: np.ndarray) -> float:
    """How many times as long as ``reference``: median over the rounds, each a pair of neighbours in time."""
    return float(np.median(times / reference))


def time_of_parts(
    model: nn.Module, call: Callable[[], object], *, repeats: int, wait: Callable[[], object]
) -> dict[str, float]:
    """Median milliseconds of ``call`` spent in each named child of ``model``; "other" is what is left."""
    rounds: list[dict[str, float]] = []
    with _child_timers(model, wait) as spent:
        for _ in range(_WARMUP + repeats):
            spent.clear()
            total = _milliseconds(call, wait)
            rounds.append({**spent, "other": total - sum(spent.values())})
    return {name: float(np.median([r.get(name, 0.0) for r in rounds[_WARMUP:]])) for name in rounds[-1]}


def count_flops(call: Callable[[], object]) -> tuple[float, dict[str, int]]:
    """Floating-point operations of ``call``, and how often each operator that is not counted ran.

    A multiply-add is two operations. Convolutions, matrix products, attention and bilinear sampling are
    counted; elementwise operators, norms and reductions are not. ``call`` must not use inference mode, which
    hides matrix products inside larger operators.
    """
    mha_fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # fused attention would be one uncounted operator
    try:
        with torch.no_grad(), _FlopCounter() as counter:
            call()
    finally:
        torch.backends.mha.set_fastpath_enabled(mha_fast_path)
    return counter.flops, dict(sorted(counter.uncounted.items()))


def count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def peak_memory_mib() -> float:
    """Largest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, KiB on Linux


def _milliseconds(call: Callable[[], object], wait: Callable[[], object]) -> float:
    wait()
    start = time.perf_counter()
    call()
    wait()
    return 1e3 * (time.perf_counter() - start)


@contextmanager
def _child_timers(model: nn.Module, wait: Callable[[], object]) -> Iterator[dict[str, float]]:
    """While open, adds up in the yielded dict the milliseconds that each named child of ``model`` runs."""
    spent: dict[str, float] = {}
    started: dict[str, float] = {}

    def before(name: str, *_: object) -> None:
        wait()
        started[name] = time.perf_counter()

    def after(name: str, *_: object) -> None:
        wait()
        spent[name] = spent.get(name, 0.0) + 1e3 * (time.perf_counter() - started[name])

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


class _FlopCounter(TorchDispatchMode):
    """Adds up what PyTorch's formulas, and two for operators that it has none for, say of all that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0.0
        self.uncounted: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.grid_sampler_2d.default:
            self.flops += 8.0 * output.numel()  # four weighted neighbours
        elif func is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default:
            self.flops += sdpa_flop_count(*(argument.shape for argument in args[:3]))
        elif (formula := flop_registry.get(func.overloadpacket)) is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=output)
        elif not func.is_view:
            self.uncounted[func.overloadpacket.__name__] += 1
        return output

"""Listening to the parts of a model while it runs."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

Part = TypeVar("Part", bound=nn.Module)


@dataclass(frozen=True)
class Call:
    """One call of a part: what it was given by position, and what it gave back."""

    inputs: tuple[Any, ...]
    output: Any


def parts_of(model: nn.Module, kind: type[Part]) -> list[Part]:
    """Every part of ``model`` that is a ``kind``, in the order in which they were built in."""
    return [module for module in model.modules() if isinstance(module, kind)]


Calls = dict[nn.Module, list[Call]]


@contextmanager
def record_calls(parts: Iterable[nn.Module]) -> Iterator[dict[nn.Module, Call]]:
    """The last call of each part made inside the ``with`` block; parts and results stay as they are."""
    calls: dict[nn.Module, Call] = {}

    def keep(part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls[part] = Call(inputs, output)

    with _heard(parts, keep):
        yield calls


@contextmanager
def record_all_calls(parts: Iterable[nn.Module]) -> Iterator[Calls]:
    """Like ``record_calls``, with every call of a part in order."""
    calls: Calls = {}

    def keep(part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls.setdefault(part, []).append(Call(inputs, output))

    with _heard(parts, keep):
        yield calls


@contextmanager
def _heard(
    parts: Iterable[nn.Module], keep: Callable[[nn.Module, tuple[Any, ...], Any], None]
) -> Iterator[None]:
    handles = [part.register_forward_hook(keep) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

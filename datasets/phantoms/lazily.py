"""Phantoms from several processes, drawn only once someone asks for them."""

from collections.abc import Callable, Iterator
from multiprocessing.pool import Pool
from typing import TypeVar

Made = TypeVar("Made")
_STEP = 16  # cases drawn before they are asked for


def lazily(pool: Pool, make: Callable[[int], Made], indices: range) -> Iterator[Made]:
    """``make`` of each index in order, a few at a time, so that memory stays small."""
    for start in range(indices.start, indices.stop, _STEP):
        yield from pool.map(make, range(start, min(start + _STEP, indices.stop)), chunksize=2)

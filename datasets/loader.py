"""Batches for training and evaluation.

Which cases an iteration sees, and how they are augmented, is a pure function of (seed, iteration, rank): a
training can start at any iteration without replaying those before it.
"""

import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from datasets.sample import Batch

Collate = Callable[[Sequence[Any]], Batch]  # a task's own: samples -> a batch


class TrainSampler(Sampler[list[tuple[int, int]]]):
    """Endless batches of keys (index, draw), every epoch a new permutation of all cases.

    Position p of the stream is draw p // N of a case, so every case comes once a draw, and batches run across
    the end of an epoch. ``batch_size`` counts all ranks together; each rank takes its own slice of the batch.

    Several ``num_cases``, in the order of the cases: parts that share no batch (``parts_of``). They take
    turns, a batch each, and each is such a stream of its own.
    """

    def __init__(
        self,
        num_cases: int | Sequence[int],
        batch_size: int,
        *,
        seed: int,
        first_batch: int = 0,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        if batch_size % num_ranks:
            raise ValueError(
                f"train.batch_size={batch_size} cannot be split over {num_ranks} processes. "
                f"Choose a multiple of {num_ranks}."
            )
        self._parts = (num_cases,) if isinstance(num_cases, int) else tuple(num_cases)
        self._batch_size, self._seed = batch_size, seed
        self._first_batch = first_batch
        share = batch_size // num_ranks
        self._slice = range(rank * share, (rank + 1) * share)

    def batch(self, number: int) -> list[tuple[int, int]]:
        """This rank's keys of batch ``number``, counted from 0."""
        turn, part = divmod(number, len(self._parts))
        return [self._key(part, turn * self._batch_size + place) for place in self._slice]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return (self.batch(number) for number in itertools.count(self._first_batch))

    def _key(self, part: int, position: int) -> tuple[int, int]:
        draw, place = divmod(position, self._parts[part])
        index = int(_permutation(self._parts[part], self._seed, draw)[place])
        return sum(self._parts[:part]) + index, draw


def parts_of(dataset: Any) -> tuple[int, ...]:
    """How many cases, in order, may share a batch: all, or as many as the data set's ``parts`` have."""
    return getattr(dataset, "parts", (len(dataset),))


def train_loader(
    dataset: Dataset[Any], sampler: TrainSampler, workers: int, *, collate: Collate
) -> DataLoader[Any]:
    """Endless batches of ``dataset[index, draw]`` as ``sampler`` says."""
    return _SteadyLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_prepare_worker,
        pin_memory=torch.cuda.is_available(),
    )


def eval_loader(
    dataset: Dataset[Any],
    batch_size: int,
    workers: int,
    *,
    collate: Collate,
    rank: int = 0,
    num_ranks: int = 1,
) -> DataLoader[Any]:
    """The cases of ``dataset`` once, in order; with ranks, a contiguous and possibly empty share each.

    Ranks share whole batches, so that every case keeps its batch mates and the last bit of its prediction
    does not depend on the number of processes.
    """
    batches, first = [], 0
    for count in parts_of(dataset):
        cases = range(first, first + count)
        batches += [list(cases[start : start + batch_size]) for start in range(0, count, batch_size)]
        first += count
    share = np.array_split(np.arange(len(batches)), num_ranks)[rank]
    return _SteadyLoader(
        dataset,
        batch_sampler=[batches[number] for number in share],
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_prepare_worker,
        pin_memory=torch.cuda.is_available(),
    )


@lru_cache(maxsize=8)
def _permutation(num_cases: int, seed: int, draw: int) -> np.ndarray:
    return np.random.default_rng([seed, draw]).permutation(num_cases)


class _SteadyLoader(DataLoader[Any]):
    """A loader whose workers outlive a Ctrl-C or SIGTERM that reaches every process of a run.

    Terminals and clusters signal all of them, and the main process still needs its batch to finish the step.
    The workers are born with both signals blocked, so there is no moment at which one could be lost.
    """

    def __iter__(self) -> Any:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            return super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker(_: int) -> None:
    """One thread a worker for the work, and one that ends it when the main process says so.

    Were SIGTERM merely ignored, a failing run would hang at its end, when multiprocessing terminates workers.
    """
    cv2.setNumThreads(0)
    if sys.platform == "linux":  # elsewhere one cannot tell who sent a signal
        threading.Thread(target=_end_when_told, daemon=True).start()
    else:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _end_when_told() -> None:
    """Wait for a SIGTERM from the main process and end this one."""
    main = os.getppid()
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != main:
        pass
    os._exit(0)

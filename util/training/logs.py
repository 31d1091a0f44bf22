"""Numbers and pictures of a training: ``metrics.jsonl`` for programs, TensorBoard for people."""

import json
import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from util.files import cannot_write

logger = logging.getLogger(__name__)


class RunLog:
    """Appends to a run's ``metrics.jsonl`` and TensorBoard files. Raises WriteError on a full disk.

    One line is one JSON object with ``iteration``, ``seconds`` (of training so far, over all continuations)
    and either training numbers or numbers under ``val/``. A value that is not finite is null. A run that is
    killed may leave its last line cut short; its continuation drops that line and those it writes again.
    """

    def __init__(self, folder: Path, iteration: int) -> None:
        """``iteration``: where the run starts; anything TensorBoard has beyond it is hidden."""
        self._file = folder / "metrics.jsonl"
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=iteration + 1)

    def write(self, iteration: int, seconds: float, values: Mapping[str, float]) -> None:
        numbers = {name: _rounded(value) for name, value in values.items()}
        line = {"iteration": iteration, "seconds": round(seconds, 2), **numbers}
        with self._naming_folder():
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
            for name, value in values.items():
                self._writer.add_scalar(name, value, iteration)

    def picture(self, iteration: int, image: np.ndarray) -> None:
        """Show an RGB image (H, W, 3) uint8 of predictions."""
        with self._naming_folder():
            self._writer.add_image("val/predictions", image, iteration, dataformats="HWC")
            self._writer.flush()

    def close(self) -> None:
        """Flush; curves that cannot be written any more are a warning, since the run has ended."""
        try:
            self._writer.close()
        except OSError as error:
            logger.warning("%s: the curves are incomplete (%s)", self._file.parent, error)

    @contextmanager
    def _naming_folder(self) -> Iterator[None]:
        """A full disk as WriteError; TensorBoard writes in a thread, so it may come a call later."""
        try:
            yield
        except OSError as error:
            raise cannot_write(self._file.parent, error) from error


class Means:
    """Running means of named scalars on the device, read once at the end: no waiting for a GPU in between."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()

    def add(self, values: Mapping[str, Tensor | float]) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, torch.zeros(())) + torch.as_tensor(value).detach()
            self._counts[name] += 1

    def take(self) -> dict[str, float]:
        """The means since the last call, each of what was added under its name."""
        means = {name: float(value) / self._counts[name] for name, value in self._sums.items()}
        self._sums, self._counts = {}, Counter()
        return means


def _rounded(value: float) -> float | None:
    """Seven digits: enough to compare, short enough to read."""
    return float(f"{value:.7g}") if math.isfinite(value) else None

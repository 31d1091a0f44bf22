"""``auto`` in a config: values that follow from the training data, found before a training begins.

They become overrides, so a run's ``config.yaml`` and its checkpoints hold plain numbers.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from util.checkpoints.checkpoint import with_task
from util.config import instantiate, load_config

_AUTO = re.compile(r"auto(?::([1-9]\d*))?")
_SIDE = 461  # of a square with as many pixels as the fast model's 512 x 416
_CELL = 32  # canvas sides are multiples of it
_MOST = 1.05  # times the pixels asked for


def automatic_overrides(cfg: DictConfig) -> list[str]:
    """``key=value`` for every ``auto`` of ``cfg``: none where it has none.

    ``size=auto`` is the canvas of some 213,000 pixels on which the training images come out largest,
    ``size=auto:256`` that of about 256 x 256 pixels. What else may be ``auto`` is the task's to say
    (``Task.automatic``). Raises ValueError for an ``auto`` that neither knows.
    """
    asked = dict(_asked("", cfg))
    if not asked:
        return []
    cfg = with_task(cfg)
    task = instantiate(cfg.task)
    data = task.open_data(cfg.data.folder, cfg.data.train)
    size = cfg.size
    if "size" in asked:
        side = _AUTO.fullmatch(asked.pop("size"))[1]  # pyright: ignore[reportOptionalSubscript]
        size = fitting_canvas(data.sizes, int(side or _SIDE) ** 2)
    found = {"size": list(size)}
    for key in asked:
        if not key.endswith(".size"):  # those refer to ``size``
            found[key] = task.automatic(key, data, size)
    return [f"{key}={value}" for key, value in found.items()]


def load_with_data(file: str, folder: Path, subset: str) -> DictConfig:
    """The config ``file`` with every ``auto`` as ``subset`` of the prepared ``folder`` has it."""
    cfg = load_config(file)
    if not dict(_asked("", cfg)):
        return cfg
    of_data = [f"data.folder={json.dumps(str(folder))}", f"data.train={json.dumps(subset)}"]
    return load_config(file, [*of_data, *automatic_overrides(load_config(file, of_data))])


def fitting_canvas(sizes: np.ndarray, pixels: int) -> tuple[int, int]:
    """(height, width) of about ``pixels`` on which letterboxed images come out largest, in the mean of logs.

    sizes: (N, 2) width and height of the images. Sides are multiples of 32; at most 5 % more pixels.
    """
    sides = np.arange(_CELL, max(int(_MOST * pixels / _CELL), _CELL) + 1, _CELL)
    best, largest = (_CELL, _CELL), -np.inf
    for height in sides:
        width = max(int(_MOST * pixels / height) // _CELL * _CELL, _CELL)
        zoom = np.minimum(width / sizes[:, 0], height / sizes[:, 1])
        if (value := float(np.log(zoom).mean())) > largest + 1e-9:
            best, largest = (int(height), int(width)), value
    return best


def _asked(prefix: str, node: Any) -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if isinstance(value, DictConfig):
            yield from _asked(f"{prefix}{key}.", value)
        elif isinstance(value, str) and _AUTO.fullmatch(value):
            yield f"{prefix}{key}", value

"""The same run twice: seeds, deterministic operations, and a record of where a run took place."""

import importlib.metadata
import os
import platform
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "accelerate",
    "numpy",
    "opencv-python-headless",
    "albumentations",
)


def seed_everything(*key: int) -> None:
    """Seed torch, numpy and Python from ``key``, such as (seed, iteration, rank): equal keys, equal draws."""
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (libraries draw from the global generator; this project does not)
    torch.manual_seed(seed)


def make_deterministic() -> None:
    """Equal bits from equal inputs on one machine's CPU, also with several threads.

    Not where a GPU trains: it has no deterministic kernel for some operations, so nothing could be promised,
    and for others a slow one (resizing in the neck: 281 operations in place of 107).
    """
    torch.use_deterministic_algorithms(not torch.cuda.is_available(), warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


def environment_record() -> dict[str, Any]:
    """What one needs to know to repeat a run: command, commit, versions, machine. JSON-ready."""
    return {
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain")),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpu_count": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
    }


def _git(*arguments: str) -> str | None:
    """Output of git in the project's folder; None without git or outside a repository."""
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(
            ("git", *arguments), cwd=root, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None

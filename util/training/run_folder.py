"""The folder that a training leaves behind, and what may be done with one that is there already.

``config.yaml``, ``environment.json``, ``metrics.jsonl``, ``tensorboard/``, ``best.pt`` (to evaluate),
``last.pt`` (to continue), ``last.previous.pt`` (the one before, should ``last.pt`` be damaged). A run may be
killed at any moment, between the renames too: then ``.last.new.pt`` is the newest, and whole.
"""

import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from datasets.prepared.subsets import content_digest
from util.checkpoints.checkpoint import (
    PREVIOUS,
    config_of,
    read_checkpoint,
    save_checkpoint,
    whole_previous,
)
from util.config import differing_keys, with_values
from util.files import cannot_write, open_atomic, remove_leftovers, write_atomic
from util.training.task import Task, TaskData

logger = logging.getLogger(__name__)

_AT_START = ("train.init_checkpoint", "train.init_parts")
FREE_KEYS = (
    *("train.output_dir", "train.save_every", "train.save_minutes", "train.log_every", "data.workers"),
    *_AT_START,  # which had their effect
    *("output_dir", "coco_path", "model_path"),  # of configs that say at their top what to edit
)
_MARKS = ("config.yaml", "metrics.jsonl", "last.pt", PREVIOUS["last.pt"], "best.pt")
_FRESH = ".last.new.pt"  # the new last.pt, from when it is whole until it has its name


class RunFolder:
    """Names and writes the files of one run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.last, self.best = self.path / "last.pt", self.path / "best.pt"
        self.metrics = self.path / "metrics.jsonl"

    def require_free(self) -> None:
        """Raise ValueError if a run lies here already, or if this is a file."""
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(
                f"train.output_dir={self.path} is a file, expected a new folder. Give another name."
            )
        present = [name for name in _MARKS if (self.path / name).exists()]
        if present:
            raise ValueError(
                f"train.output_dir={self.path} already holds a run ({', '.join(present)}). Give another "
                f"folder (train.output_dir=...), or continue that run (--resume-from-checkpoint {self.path})."
            )

    def begin(self, cfg: DictConfig, environment: Mapping[str, Any]) -> None:
        """Write the config and the environment of a new run."""
        write_atomic(self.path / "config.yaml", OmegaConf.to_yaml(cfg))
        write_atomic(self.path / "environment.json", json.dumps(environment, indent=2) + "\n")

    def resume(self, source: Path, iteration: int, cfg: DictConfig, environment: Mapping[str, Any]) -> None:
        """Take up, here, the run of folder ``source`` at ``iteration``; the log is cut back to it."""
        kept = [line for line in _lines(source / "metrics.jsonl") if line["iteration"] <= iteration]
        if source.resolve() != self.path.resolve():
            self.require_free()
            self.begin(cfg, environment)
            if (source / "best.pt").is_file():
                with (source / "best.pt").open("rb") as original, open_atomic(self.best) as copy:
                    shutil.copyfileobj(original, copy)
        if not self.last.is_file() and (self.path / _FRESH).is_file():
            os.replace(self.path / _FRESH, self.last)
        for file in (self.path / _FRESH, self.best, self.metrics):
            remove_leftovers(file)
        write_atomic(self.metrics, "".join(json.dumps(line) + "\n" for line in kept))
        write_atomic(
            self.path / f"environment.resumed-{iteration}.json", json.dumps(environment, indent=2) + "\n"
        )

    def save_last(self, checkpoint: Mapping[str, Any]) -> None:
        """Write ``last.pt`` and keep the one before it; ``newest`` finds a whole one at every moment."""
        fresh = self.path / _FRESH
        save_checkpoint(fresh, checkpoint)
        try:
            if self.last.exists():
                os.replace(self.last, self.path / PREVIOUS["last.pt"])
            os.replace(fresh, self.last)
        except OSError as error:
            raise cannot_write(self.last, error) from error

    def newest(self) -> Path:
        """The checkpoint to continue from, at whatever moment the run was killed; ValueError for none."""
        for file in (self.last, self.path / _FRESH, self.path / PREVIOUS["last.pt"]):
            if file.is_file():
                if file != self.last:
                    logger.warning("%s: no last.pt, so continuing from %s", self.path, file.name)
                return file
        raise ValueError(
            f"{self.path}: no checkpoint, so nothing to continue. A run that was killed before its first one "
            "starts anew: delete the folder, or give another."
        )

    def how_to_continue(self) -> str:
        """What to do after a run ended early, for an error message."""
        if not self.last.is_file():
            return "No checkpoint was saved before."
        return f"Continue from its last checkpoint with --resume-from-checkpoint {self.path}."

    def save_best(self, checkpoint: Mapping[str, Any]) -> None:
        """Write ``best.pt``: the weights to evaluate, without what only a continuation needs."""
        save_checkpoint(self.best, {key: value for key, value in checkpoint.items() if key != "training"})


@dataclass(frozen=True)
class Resumed:
    """A checkpoint to continue from."""

    file: Path
    content: dict[str, Any]
    config: DictConfig  # of the continued run: what was asked for, and the start that the run had


def checkpoint_of(run_or_file: str | Path) -> Path:
    """The file to continue from: the newest of a run folder, or the file itself. ValueError for none."""
    path = Path(run_or_file)
    return RunFolder(path).newest() if path.is_dir() else path


def config_beside(run_or_file: str | Path) -> Path | None:
    """The config that a run folder holds, by the folder or a checkpoint in it; None where there is none."""
    path = Path(run_or_file)
    file = (path if path.is_dir() else path.parent) / "config.yaml"
    return file if file.is_file() else None


def load_resumable(run_or_file: str | Path, cfg: DictConfig, task: Task, data: TaskData) -> Resumed:
    """A checkpoint that ``cfg`` on ``data`` can continue exactly, from its file or its run folder.

    Raises ValueError if the checkpoint has no training state, or if the config or the meaning differs.
    """
    file = checkpoint_of(run_or_file)
    checkpoint = _load_or_offer(file)
    if "training" not in checkpoint:
        raise ValueError(f"{file}: holds weights to evaluate, no state to continue. Give the run's last.pt.")
    task.require_same(task.meaning_of(checkpoint, file), data, file)
    saved = config_of(checkpoint, file)
    changed = [key for key in differing_keys(saved, cfg) if key not in FREE_KEYS]
    if (digest := checkpoint["training"].get("data_digest")) is not None:
        _require_same_data(digest, cfg.data.folder, file)
        changed = [key for key in changed if key != "data.folder" and not key.startswith("data.folder.")]
    if changed:
        was, now = (OmegaConf.select(config, changed[0], default="absent") for config in (saved, cfg))
        others = f" (also: {', '.join(changed[1:4])})" if changed[1:] else ""
        raise ValueError(
            f"{file}: cannot be continued with another config: {changed[0]} was {was!r}, is {now!r}{others}. "
            f"Use --config-file {file.parent / 'config.yaml'} without overrides, or start a new run."
        )
    return Resumed(file, checkpoint, _with_start_of(saved, cfg))


def _with_start_of(saved: DictConfig, cfg: DictConfig) -> DictConfig:
    """``cfg`` with the start that the run had: what it has seen is told by its config."""
    start = {}
    for key in _AT_START:
        asked, was = OmegaConf.select(cfg, key), OmegaConf.select(saved, key)
        if asked != was:
            logger.warning("%s=%s is not read: a run that goes on has its own weights", key, asked)
            start[key] = was
    return with_values(cfg, start)


def _require_same_data(digest: str, folder: str, file: Path) -> None:
    """Raise ValueError unless ``folder`` holds the data that the run of ``file`` began with, wherever."""
    if content_digest(folder) != digest:
        raise ValueError(
            f"{file}: cannot be continued on other data: dataset.json or the annotations of {folder} are not "
            "those that it was trained on. Give the folder that has them as data.folder, or start a new run."
        )


def _load_or_offer(file: Path) -> dict[str, Any]:
    """The content of ``file``; if it is damaged, an error that says how to continue from the one before."""
    try:
        return read_checkpoint(file)
    except ValueError as error:
        previous = whole_previous(file)
        if previous is None:
            raise
        raise ValueError(
            f"{error} Command: python main.py --config-file {file.parent / 'config.yaml'} "
            f"--resume-from-checkpoint {previous}"
        ) from error


def _lines(file: Path) -> list[dict[str, Any]]:
    """Whole lines of a metrics file; a last line cut short by a crash is dropped."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").split("\n")
    try:
        return [
            json.loads(line) for line in lines[:-1]
        ]  # what follows the last newline is empty or cut short
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}: a line that is no JSON ({error}). Mend or remove the file.") from error

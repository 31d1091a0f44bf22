"""A model from a file of weights and, where main.py did not write that, the config that describes it."""

import logging
from pathlib import Path

import torch

from util.checkpoints.checkpoint import (
    LoadedModel,
    load_checkpoint,
    load_model,
    task_of,
    task_of_config,
    with_task,
)
from util.config import instantiate, load_config, require_sections
from util.training.task import Task

logger = logging.getLogger(__name__)

SECTIONS = ("task", "model", "eval_transforms")


def task_of_described(file: Path, model_config: Path | None) -> Task:
    """The task of a checkpoint, or of the config given with it."""
    return task_of(file) if model_config is None or _is_own(file) else task_of_config(model_config)


def load_described(file: Path, model_config: Path | None, device: str | torch.device = "cpu") -> LoadedModel:
    """``load_model``, or the model of ``model_config`` with the weights of a ``file`` of another form.

    A checkpoint of main.py carries its config; then ``model_config`` is not read, which is said. Raises
    ValueError for a file that is neither a checkpoint nor of a form that the config's task knows.
    """
    if model_config is None:
        return load_model(file, device)
    if _is_own(file):
        logger.warning("%s carries its own config: --model-config %s is not read", file, model_config)
        return load_model(file, device)
    config = load_config(model_config)
    require_sections(config, SECTIONS, model_config)
    task: Task = instantiate(with_task(config).task)
    found = task.foreign_model(config.model, file)
    if found is None:
        load_checkpoint(file)  # says what is wrong with it
        raise ValueError(f"{file}: no weights of a form known here. Give a published file, or main.py's.")
    model, meaning = found
    return LoadedModel(
        model=model.to(device).eval(), task=task, meaning=meaning, config=config, metrics={}, file=file
    )


def _is_own(file: Path) -> bool:
    try:
        load_checkpoint(file)
    except ValueError:
        return False
    return True

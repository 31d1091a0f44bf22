"""The data on which a checkpoint is evaluated."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from util.checkpoints.checkpoint import LoadedModel
from util.config import instantiate


def open_dataset(loaded: LoadedModel, folder: Path | None, subset: str) -> Any:
    """The data as the checkpoint's config evaluates them; ValueError where they mean something else.

    ``folder``: None for the one that the checkpoint was trained on.
    """
    folder = folder or OmegaConf.select(loaded.config, "data.folder")
    if folder is None:
        raise ValueError(f"{loaded.file}: its config names no data.folder. Give --data.")
    dataset = loaded.task.open_data(folder, subset, instantiate(loaded.config.eval_transforms))
    return loaded.task.fitted(loaded.meaning, dataset, loaded.file)

"""The data on which a checkpoint is evaluated."""

from pathlib import Path

from omegaconf import OmegaConf

from datasets.prepared.prepared import PreparedDataset
from util.checkpoints.checkpoint import LoadedModel, require_same_landmarks
from util.config import instantiate


def open_dataset(loaded: LoadedModel, folder: Path | None, subset: str) -> PreparedDataset:
    """The prepared data as the checkpoint's config evaluates it; ValueError for another landmark set.

    ``folder``: None for the one that the checkpoint was trained on.
    """
    folder = folder or OmegaConf.select(loaded.config, "data.folder")
    if folder is None:
        raise ValueError(f"{loaded.file}: its config names no data.folder. Give --data.")
    dataset = PreparedDataset(folder, subset, instantiate(loaded.config.eval_transforms))
    require_same_landmarks({"landmark_set": loaded.landmark_set.to_dict()}, dataset.landmark_set, loaded.file)
    return dataset

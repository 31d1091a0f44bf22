"""One model for several landmark sets: its config from those of each, and each one's checkpoint out of its.

``FILE:SET``, such as ``runs/several/best.pt:spine68``, stands wherever a checkpoint does for the model of
that set. It is the checkpoint that a training of this set alone would have written, and is read as one.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from datasets.landmarks.landmark_set import require_set_name
from util.config import differing_keys, nearest
from util.files import sha256
from util.training.task import FIRST_TASK

SETS, BESIDE = "landmark_sets", "beside_weights"  # keys of a checkpoint of several: by set what is one's own
TASK = "tasks.several_sets:SeveralSetsTask"
_EACH = ("model", "train_transforms", "eval_transforms")  # sections of a config that every set has for itself
_SHARED = ("criterion", "optimizer", "train", "data")
_OWN = ("data.folder", "train.output_dir")  # of the shared sections
_NAMED = re.compile(r"(.+\.(?:pt|safetensors)):([^/\\]*)")


def joined_config(configs: Mapping[str, DictConfig]) -> DictConfig:
    """One config from those of single landmark sets, by name: sections of each, and what they share.

    Raises ValueError where they differ in what one training has once, such as the learning rate.
    """
    plain = {name: cast(dict[str, Any], OmegaConf.to_container(cfg)) for name, cfg in configs.items()}
    (first_name, first), *others = plain.items()
    for name, cfg in plain.items():
        require_set_name(name, f"{cfg['data']['folder']}/dataset.json")
        if cfg["task"] != {"_target_": FIRST_TASK}:
            raise ValueError(
                f"{name}: task {cfg['task']}, expected landmarks: only their models share a trunk."
            )
    for name, cfg in others:
        shared = [OmegaConf.create({part: one[part] for part in _SHARED}) for one in (first, cfg)]
        for key in differing_keys(shared[0], shared[1]):
            if key not in _OWN:
                raise ValueError(
                    f"{key} differs between {first_name} and {name}, expected one value: they are trained as "
                    f"one. Give it on the command line: {key}=..."
                )
    folders = {name: cfg["data"]["folder"] for name, cfg in plain.items()}
    output_dirs = {cfg["train"]["output_dir"] for cfg in plain.values()}
    return cast(
        DictConfig,
        OmegaConf.create(
            {
                "task": {"_target_": TASK},
                **{part: {name: cfg[part] for name, cfg in plain.items()} for part in _EACH},
                **{part: first[part] for part in _SHARED},
                "data": first["data"] | {"folder": folders},
                "train": first["train"]
                | {"output_dir": output_dirs.pop() if len(output_dirs) == 1 else "runs/several"},
            }
        ),
    )


def config_of_set(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What ``joined_config`` was given for one set, as plain data."""
    return {
        **config,
        "task": {"_target_": FIRST_TASK},
        **{part: config[part][name] for part in _EACH},
        "data": {**config["data"], "folder": config["data"]["folder"][name]},
    }


def split_name(file: str | Path) -> tuple[Path, str | None]:
    """``FILE:SET`` as its two parts; None for a file without a set."""
    named = _NAMED.fullmatch(str(file))
    return (Path(named[1]), named[2]) if named else (Path(file), None)


def content_of(file: Path) -> str:
    """What tells a model from others: the SHA-256 of its file, and the set."""
    whole, name = split_name(file)
    return sha256(whole) + (f":{name}" if name else "")


def checkpoint_of_set(checkpoint: Mapping[str, Any], name: str | None, file: Path) -> dict[str, Any]:
    """The checkpoint of one set out of that of several, in ``file``; without a ``name`` that of a single one.

    Raises ValueError for a set that it does not have, and where only one of the two is given.
    """
    sets = checkpoint.get(SETS)
    if sets is None and name is None:
        return dict(checkpoint)
    if sets is None:
        raise ValueError(f"{file}:{name}: a model of a single landmark set. Give {file}.")
    if name is None:
        raise ValueError(
            f"{file}: a model of the landmark sets {list(sets)}, expected one. Give one behind the file: "
            f"{file}:{next(iter(sets))}."
        )
    if name not in sets:
        raise ValueError(f"{file}:{name}: no landmark set {name!r}; {nearest(name, sets)}")
    config = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.create(str(checkpoint["config"]))))
    prefix = f"members.{list(sets).index(name)}."
    weights = checkpoint["weights"]
    return {
        "format": checkpoint["format"],
        "config": OmegaConf.to_yaml(OmegaConf.create(config_of_set(config, name))),
        **sets[name],
        **checkpoint.get(BESIDE, {}).get(name, {}),
        "weights": {key.removeprefix(prefix): t for key, t in weights.items() if key.startswith(prefix)},
        "metrics": checkpoint["metrics"].get("sets", {}).get(name, {}),
        "iteration": checkpoint["iteration"],
    }

"""Checkpoint files: everything that evaluation needs in one file, and nothing that could run code.

Plain data only (tensors, numbers, text, lists, dicts), read with ``weights_only=True``. The keys:

format        ``FORMAT``
config        the resolved config of the run, as YAML
weights       state dict of the averaged model, the one to evaluate
metrics       validation numbers of these weights
iteration     optimizer steps done
training      only in ``last.pt``: what an exact continuation needs besides

and the task's own: what the outputs mean (``Meaning.to_dict``) and what the validation images say of the
weights (``Task.beside_weights``). For landmarks:

landmark_set  ``LandmarkSet.to_dict()``
labels        which annotations the model learnt from
calibration   factor on the predicted scales, from the validation images; 1 where the key is missing
plausibility  ``Limits.to_dict()`` that tell proper X-rays, for what the weights say without calibration and
              protocol; None for too few validation images, missing in older files
protocol      ``ProtocolOffsets.to_dict()`` of whose protocol it follows; as learnt where the key is missing
landmark_shapes  ``LandmarkShapes.to_dict()`` of the readers of its training data, where they are known

A model of several landmark sets has these keys a set (``util.checkpoints.one_of_several``).
"""

import io
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import torch
import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from util.checkpoints.one_of_several import checkpoint_of_set, split_name
from util.checkpoints.renamed import renamed_targets
from util.checkpoints.weights_file import SUFFIX, read_weights
from util.config import instantiate, load_config, require_plain, require_sections, require_targets_in
from util.files import write_atomic
from util.training.task import FIRST_TASK, Task
from util.words import first_few

FORMAT = "cephdetr-checkpoint-1"
PREVIOUS = {"last.pt": "last.previous.pt"}
KEYS = {"format", "config", "weights", "metrics", "iteration"}
PACKAGES = {
    "task": ("tasks",),
    "model": ("models",),
    "eval_transforms": ("transforms",),
}  # what a file may name
_ELSEWHERE = re.compile(r"://|^\s*(hf[-_]hub|local-dir):", re.IGNORECASE)  # URLs, and timm's ways to fetch


@dataclass(frozen=True)
class LoadedModel:
    """A trained model with what it was trained on."""

    model: Any  # in evaluation mode
    task: Task
    meaning: Any  # what the outputs stand for (``util.training.task.Meaning``)
    config: DictConfig  # only the sections of ``PACKAGES`` are vetted for ``instantiate``
    metrics: dict[str, Any]
    file: Path

    def of(self, task: str) -> Self:
        """The same model, for a script that knows one task only. Raises ValueError where it has another."""
        if self.task.name != task:
            raise ValueError(f"{self.file}: a model of {self.task.name}, expected one of {task}.")
        return self


def save_checkpoint(file: str | Path, checkpoint: Mapping[str, Any]) -> None:
    """Write ``checkpoint`` so that ``file`` is whole at every moment: the old one, or the new one."""
    buffer = io.BytesIO()
    torch.save(dict(checkpoint), buffer)
    write_atomic(file, buffer.getbuffer())


def load_checkpoint(file: str | Path) -> dict[str, Any]:
    """The checkpoint of one model, onto the CPU: of a file, or of a set as ``FILE:SET`` (one_of_several.py).

    Raises ValueError as ``read_checkpoint`` does, for a set that the file does not have, and for a file of
    several without one.
    """
    whole, name = split_name(file)
    checkpoint = read_checkpoint(whole)
    return checkpoint_of_set(checkpoint, name, whole)


def read_checkpoint(file: str | Path) -> dict[str, Any]:
    """Read a checkpoint, or weights in half precision (util.checkpoints.weights_file), onto the CPU.

    Raises ValueError when it is missing, cut short, not a checkpoint, or holds anything but plain data.
    """
    file = Path(file)
    if not file.is_file():
        raise ValueError(f"checkpoint {file} not found.{_offer_previous(file)}")
    checkpoint = read_weights(file) if file.suffix == SUFFIX else _unpickled(file)
    found = checkpoint.get("format") if isinstance(checkpoint, dict) else None
    if found != FORMAT or not checkpoint.keys() >= KEYS:
        raise ValueError(
            f"{file}: format {found!r}, expected {FORMAT!r} with {sorted(KEYS)}: not written by main.py. "
            "Published weights of a detector are read with their --model-config."
        )
    return checkpoint


def _unpickled(file: Path) -> Any:
    if file.suffix == ".onnx":
        raise ValueError(
            f"{file}: an exported graph, expected the checkpoint that it was made from. "
            "inference.py runs graphs; the export was checked to answer as its checkpoint does."
        )
    if not zipfile.is_zipfile(file):
        raise ValueError(
            f"{file}: not a checkpoint, or cut short ({file.stat().st_size} bytes).{_offer_previous(file)}"
        )
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile pickle can make the unpickler raise anything
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{file}: refused, damaged or holding more than plain data "
            f"({type(error).__name__}: {reason}).{_offer_previous(file)}"
        ) from error


def load_model(
    file: str | Path,
    device: str | torch.device = "cpu",
    packages: Mapping[str, Collection[str]] = PACKAGES,
) -> LoadedModel:
    """The averaged model of a checkpoint, built from the config in the file, ready to evaluate.

    ``packages``: whose classes each section of the file's config may name. What they are built from is
    ``untrained``, so nothing is fetched. Raises ValueError for a file that is no checkpoint, names other
    code, or whose weights do not fit the model it describes.
    """
    file = Path(file)
    checkpoint = load_checkpoint(file)
    config = _vetted(config_of(checkpoint, file), packages, file)
    task: Task = instantiate(config.task)
    meaning = task.meaning_of(checkpoint, file)
    model = task.build_model(config.model, meaning)
    load_weights(model, checkpoint["weights"], file)
    task.restore(model, checkpoint, file)
    return LoadedModel(
        model=model.to(device).eval(),
        task=task,
        meaning=meaning,
        config=config,
        metrics=checkpoint["metrics"],
        file=file,
    )


def task_of(file: str | Path, packages: Mapping[str, Collection[str]] = PACKAGES) -> Task:
    """The task of a checkpoint. Raises ValueError for a file that is none, or names code of elsewhere."""
    file = Path(file)
    config = config_of(load_checkpoint(file), file)
    require_targets_in(config.task, packages["task"], file)
    return instantiate(config.task)


def task_of_config(file: str | Path) -> Task:
    """The task of a config file of this project; landmarks where it names none."""
    return instantiate(with_task(load_config(file)).task)


def load_weights(model: nn.Module, weights: Mapping[str, Any], file: str | Path) -> None:
    """Load a state dict of exactly this model. Raises ValueError that lists the tensors that do not fit."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    advice = "Use the config, and the version of this project, that it was trained with."
    require_shapes(weights, shapes, file, advice=advice)
    model.load_state_dict(weights)


def require_shapes(
    weights: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], file: str | Path, *, advice: str
) -> None:
    """Raise ValueError that lists what differs unless ``weights`` of ``file`` have these names and shapes."""
    wrong = [f"{name} missing" for name in shapes if name not in weights]
    wrong += [f"{name} unknown to the model" for name in weights if name not in shapes]
    wrong += [
        f"{name} {tuple(weights[name].shape)} for {shape}"
        for name, shape in shapes.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    if wrong:
        raise ValueError(f"{file}: a checkpoint of another model: {first_few(wrong)}. {advice}")


def config_of(checkpoint: Mapping[str, Any], file: str | Path) -> DictConfig:
    """The run's config as saved in a checkpoint, read-only. Raises ValueError if it is not plain data."""
    try:
        content = OmegaConf.to_container(OmegaConf.create(str(checkpoint["config"])))
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise ValueError(f"{file}: its config is not valid YAML ({error}).") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: its config is no table of keys. Use a checkpoint that main.py wrote.")
    require_plain(content, file)
    return with_task(cast(DictConfig, OmegaConf.create(renamed_targets(content))))


def with_task(config: DictConfig) -> DictConfig:
    """``config``, read-only, naming its task: one from when there was no other is of landmarks."""
    content = cast(dict[str, Any], OmegaConf.to_container(config))
    named = cast(DictConfig, OmegaConf.create({"task": {"_target_": FIRST_TASK}} | content))
    OmegaConf.set_readonly(named, True)
    return named


def untrained(node: Any) -> Any:
    """A config as plain containers without all that asks for weights: a checkpoint brings its own.

    No ``pretrained``, ``pretrained_*`` and ``checkpoint_path``, no ``weights`` that is the name of any, and
    no address to fetch from.
    """
    if isinstance(node, DictConfig | ListConfig):
        node = OmegaConf.to_container(node)
    if isinstance(node, dict):
        return {key: _without_weights(key, value) for key, value in node.items() if not _asks(key, value)}
    return [untrained(item) for item in node if not _asks("", item)] if isinstance(node, list) else node


def _asks(key: Any, value: Any) -> bool:
    """Whether an argument says where to fetch from, or which weights."""
    name = str(key)
    return (
        name == "checkpoint_path"
        or name.startswith("pretrained_")
        or (isinstance(value, str) and _ELSEWHERE.search(value) is not None)
    )


def _without_weights(key: Any, value: Any) -> Any:
    if key == "pretrained":
        return False
    return None if key == "weights" and isinstance(value, str) else untrained(value)


def _vetted(config: DictConfig, packages: Mapping[str, Collection[str]], file: Path) -> DictConfig:
    """``config`` with its sections of ``packages`` fit for ``instantiate``, or ValueError."""
    require_sections(config, packages, file)
    content = cast(dict[str, Any], OmegaConf.to_container(config))
    for section, allowed in packages.items():
        require_targets_in(content[section], allowed, file)
        content[section] = untrained(content[section])
    vetted = cast(DictConfig, OmegaConf.create(content))
    OmegaConf.set_readonly(vetted, True)
    return vetted


def whole_previous(file: Path) -> Path | None:
    """The checkpoint that a run saved before ``file``, if it is there and whole."""
    previous = file.with_name(PREVIOUS.get(file.name, file.name))
    if previous == file or not previous.is_file():
        return None
    try:
        read_checkpoint(previous)
    except ValueError:
        return None
    return previous


def _offer_previous(file: Path) -> str:
    previous = whole_previous(file)
    if previous is not None:
        return f" The one saved before it is whole: use {previous}."
    return " Give a RUN/best.pt that was made by: python main.py --config-file configs/... (docs/usage.md)."

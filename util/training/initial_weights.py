"""Starting from other weights: a new model takes over what another training learnt, output by output."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from util.checkpoints.checkpoint import load_checkpoint, require_shapes, untrained
from util.config import nearest
from util.training.settings import TrainSettings
from util.training.task import Meaning, Task

logger = logging.getLogger(__name__)


def starting_model(
    config: Any, settings: TrainSettings, task: Task, meaning: Meaning, *, resumed: bool
) -> Any:
    """The model of ``config`` with random or pretrained weights, or with those of ``init_checkpoint``.

    What would be replaced anyway is not fetched: nothing for a resumed run, which brings all its weights,
    and no pretrained weights for a model that starts from a checkpoint as a whole.
    """
    file, parts = settings.init_checkpoint, settings.init_parts
    replaced = resumed or (file is not None and parts is None)
    model = task.build_model(untrained(config) if replaced else config, meaning)
    if file is not None and not resumed:
        told = task.take_foreign_weights(model, Path(file), meaning, parts)
        logger.info(told or take_weights(model, file, task, meaning, parts))
    return model


def take_weights(
    model: nn.Module,
    file: str | Path,
    task: Task,
    meaning: Meaning,
    parts: Sequence[str] | None = None,
) -> str:
    """Give ``model``, whose outputs are ``meaning``, the averaged weights of ``file``, and say what it took.

    ``parts`` restricts this to modules by name. The model's ``output_tensors`` are taken output by output
    (landmark by landmark, class by class), and one that the file does not know keeps the model's own. All
    other tensors must agree in name and shape. Raises ValueError where they do not, and for a file that is
    no checkpoint.
    """
    checkpoint = load_checkpoint(file)
    _require_parts(model, parts)
    data = set(getattr(model, "data_tensors", ()))  # of this training: never another's
    own, weights = (_select(one, parts, data) for one in (model.state_dict(), checkpoint["weights"]))
    indexed = _output_tensors(model) & own.keys()
    source = task.meaning_of(checkpoint, Path(file)) if indexed else meaning
    count, there = len(meaning.names), len(source.names)
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    for name in indexed:
        shapes[name] = (shapes[name][0] // count * there, *shapes[name][1:])
    advice = "Use that run's model, or take over only what fits, such as train.init_parts=[backbone]."
    require_shapes(weights, shapes, file, advice=advice)
    places = meaning.counterparts(source)
    for name in indexed:
        rows = own[name].clone().unflatten(0, (count, -1))  # (K, rows an output, ...)
        rows[list(places)] = weights[name].to(rows).unflatten(0, (there, -1))[list(places.values())]
        weights[name] = rows.flatten(0, 1)
    model.load_state_dict(model.state_dict() | weights)
    taken = f"{file}: starting from {len(weights)} tensors of its averaged weights; "
    return taken + (_matches(task, meaning, source, places) if indexed else "none of them of an output")


def _select(
    tensors: Mapping[str, Tensor], parts: Sequence[str] | None, without: Collection[str]
) -> dict[str, Tensor]:
    """The tensors of these modules, or None: of all, ``without`` some."""
    heads = tuple(f"{part}." for part in parts) if parts is not None else ("",)
    return {name: t for name, t in tensors.items() if f"{name}.".startswith(heads) and name not in without}


def _output_tensors(model: nn.Module) -> set[str]:
    """Names of the tensors whose first axis runs over the outputs: landmarks, classes."""
    declared = getattr(model, "output_tensors", None)
    if declared is None:
        raise ValueError(
            f"{type(model).__name__} cannot start from another training's weights: expected an attribute "
            "output_tensors as models.landmarks.landmark_model describes it. Add it to the class."
        )
    return set(declared)


def _require_parts(model: nn.Module, parts: Sequence[str] | None) -> None:
    """Raise ValueError for a part that the model does not have."""
    modules = [name for name, _ in model.named_modules() if name]
    for part in parts or ():
        if part not in modules:
            top = [name for name in modules if "." not in name]
            raise ValueError(f"train.init_parts names {part!r}, no module of the model; {nearest(part, top)}")


def _matches(task: Task, meaning: Meaning, source: Meaning, places: Mapping[int, int]) -> str:
    """Which outputs come from ``source``, under which name there if it differs, and which are new."""
    names = meaning.names
    pairs = [(names[index], source.names[place]) for index, place in places.items()]
    known = [one if one == other else f"{one} (there {other})" for one, other in pairs]
    new = [name for index, name in enumerate(names) if index not in places]
    return (
        f"{len(known)} of {len(names)} {task.name} known: {', '.join(known) or 'none'}; "
        f"new: {', '.join(new) or 'none'}"
    )

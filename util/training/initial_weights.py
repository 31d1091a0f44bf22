"""Starting from other weights: a new model takes over what another training learnt, landmark by landmark."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from datasets.landmarks.landmark_set import LandmarkSet
from models.landmarks.landmark_model import LandmarkModel
from util.checkpoints.checkpoint import load_checkpoint, require_shapes, untrained
from util.config import instantiate, nearest
from util.training.settings import TrainSettings

logger = logging.getLogger(__name__)

_OF_THE_DATA = "mean_shape"  # says where the training set's landmarks lie: never another's


def starting_model(
    config: Any, settings: TrainSettings, landmark_set: LandmarkSet, *, resumed: bool
) -> LandmarkModel:
    """The model of ``config`` with random or pretrained weights, or with those of ``init_checkpoint``.

    What would be replaced anyway is not fetched: nothing for a resumed run, which brings all its weights,
    and no pretrained weights for a model that starts from a checkpoint as a whole.
    """
    file, parts = settings.init_checkpoint, settings.init_parts
    replaced = resumed or (file is not None and parts is None)
    model = instantiate(untrained(config) if replaced else config, num_landmarks=len(landmark_set))
    if file is not None and not resumed:
        logger.info(take_weights(model, file, landmark_set, parts))
    return model


def take_weights(
    model: nn.Module, file: str | Path, landmark_set: LandmarkSet, parts: Sequence[str] | None = None
) -> str:
    """Give ``model``, made for ``landmark_set``, the averaged weights of ``file``, and say what it took.

    ``parts`` restricts this to modules by name. The model's ``landmark_tensors`` are taken landmark by
    landmark, and one that the file does not know keeps the model's own. All other tensors must agree in name
    and shape. Raises ValueError where they do not, and for a file that is no checkpoint.
    """
    checkpoint = load_checkpoint(file)
    source = LandmarkSet.from_dict(checkpoint["landmark_set"], source=str(file))
    _require_parts(model, parts)
    own, weights = _select(model.state_dict(), parts), _select(checkpoint["weights"], parts)
    indexed = _landmark_tensors(model) & own.keys()
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    for name in indexed:
        shapes[name] = (shapes[name][0] // len(landmark_set) * len(source), *shapes[name][1:])
    advice = "Use that run's model, or take over only what fits, such as train.init_parts=[backbone]."
    require_shapes(weights, shapes, file, advice=advice)
    places = landmark_set.counterparts(source)
    for name in indexed:
        rows = own[name].clone().unflatten(0, (len(landmark_set), -1))  # (K, rows a landmark, ...)
        rows[list(places)] = weights[name].to(rows).unflatten(0, (len(source), -1))[list(places.values())]
        weights[name] = rows.flatten(0, 1)
    model.load_state_dict(model.state_dict() | weights)
    taken = f"{file}: starting from {len(weights)} tensors of its averaged weights; "
    return taken + (_matches(landmark_set, source, places) if indexed else "none of them of a landmark")


def _select(tensors: Mapping[str, Tensor], parts: Sequence[str] | None) -> dict[str, Tensor]:
    """The tensors of these modules; None: of all."""
    heads = tuple(f"{part}." for part in parts) if parts is not None else ("",)
    return {name: t for name, t in tensors.items() if f"{name}.".startswith(heads) and name != _OF_THE_DATA}


def _landmark_tensors(model: nn.Module) -> set[str]:
    """Names of the tensors whose first axis runs over the landmarks (``LandmarkModel.landmark_tensors``)."""
    declared = getattr(model, "landmark_tensors", None)
    if declared is None:
        raise ValueError(
            f"{type(model).__name__} cannot start from another training's weights: expected an attribute "
            "landmark_tensors as models.landmarks.landmark_model describes it. Add it to the class."
        )
    return set(declared)


def _require_parts(model: nn.Module, parts: Sequence[str] | None) -> None:
    """Raise ValueError for a part that the model does not have."""
    modules = [name for name, _ in model.named_modules() if name]
    for part in parts or ():
        if part not in modules:
            top = [name for name in modules if "." not in name]
            raise ValueError(f"train.init_parts names {part!r}, no module of the model; {nearest(part, top)}")


def _matches(landmark_set: LandmarkSet, source: LandmarkSet, places: Mapping[int, int]) -> str:
    """Which landmarks come from ``source``, under which name there if it differs, and which are new."""
    names = landmark_set.landmarks
    pairs = [(names[index], source.landmarks[place]) for index, place in places.items()]
    known = [one if one == other else f"{one} (there {other})" for one, other in pairs]
    new = [name for index, name in enumerate(names) if index not in places]
    return (
        f"{len(known)} of {len(names)} landmarks known: {', '.join(known) or 'none'}; "
        f"new: {', '.join(new) or 'none'}"
    )

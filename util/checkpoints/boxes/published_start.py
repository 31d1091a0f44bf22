"""A detector from published weights: as the start of a training, or as it is."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datasets.boxes.class_set import BoxClasses, unnamed
from datasets.boxes.meaning import BoxMeaning
from models.boxes.corrections import for_published_weights
from util.checkpoints.boxes.published import (
    CLASS_ROWS,
    Taken,
    decoded_classes,
    is_published,
    read_published,
    take_published,
)
from util.checkpoints.boxes.published_names import CLASSES
from util.checkpoints.checkpoint import untrained
from util.config import nearest
from util.training.task import Task
from util.words import first_few

logger = logging.getLogger(__name__)


def take_start(
    model: nn.Module, file: Path, classes: BoxClasses, parts: Sequence[str] | None = None
) -> str | None:
    """Give ``model``, a detector of ``classes``, the weights of a published ``file``; what it took, in words.

    The shares of tokens that the encoder works on stay those of the model's config. None for a file that is
    not published. ``parts``: modules by name, or all. Raises ValueError for a part
    that the model lacks, and for a file that fits nothing of it.
    """
    if not is_published(file):
        return None
    modules = [name for name, _ in model.named_modules() if name]
    for part in parts or ():
        if part not in modules:
            top = [name for name in modules if "." not in name]
            raise ValueError(f"train.init_parts names {part!r}, no module of the model; {nearest(part, top)}")
    own = {name: model.state_dict()[name].clone() for name in getattr(model, "data_tensors", ())}
    taken = take_published(model, file, class_names=classes.names, category_ids=classes.ids, parts=parts)
    said = [str(taken), f"  {_classes(taken, classes)}", *_restored(model, own)]
    said += [] if parts else [*_computed_otherwise(model), *_not_fixed(model)]
    return f"{file}: starting from published weights: " + "\n".join(said)


def published_model(task: Task, config: Any, file: Path) -> tuple[nn.Module, BoxMeaning] | None:
    """The detector of ``config`` with all that it needs from a published ``file``, in evaluation mode.

    Its labels are the file's rows, which are category ids. None for a file that is not published. Raises
    ValueError where a tensor is missing or has another shape.
    """
    if not is_published(file):
        return None
    weights = read_published(file)
    meaning = BoxMeaning(_named(decoded_classes(weights.get(CLASSES)), num_classes(weights, file)))
    model = task.build_model(untrained(config), meaning)
    taken = take_published(model, file)
    wrong = [f"{name} missing" for name in taken.missing]
    wrong += [f"{name} {what}" for name, what in (taken.misshapen | taken.rows).items()]
    if wrong:
        raise ValueError(
            f"{file}: not the weights of this config: {first_few(wrong)}. Give the config that "
            "they were trained with, one of configs/salience_detr/ for published ones."
        )
    logger.info("%s: %s", file, taken)
    return model.eval(), meaning


def num_classes(weights: Mapping[str, Tensor], file: Path) -> int:
    """Class rows of a published file. Raises ValueError where it has none."""
    heads = [tensor for name, tensor in weights.items() if name == CLASS_ROWS]
    if not heads:
        raise ValueError(f"{file}: no {CLASS_ROWS}, so no detector. Give a file with the whole model.")
    return len(heads[0])


def _named(names: Sequence[str], count: int) -> BoxClasses:
    """``count`` classes by their ids. Gaps between ids all have one name in a file, so they keep none."""
    given = dict(enumerate(names)) if len(names) == count else {}
    spare = {name for name in names if names.count(name) > 1} | {""}
    called = (given.get(number, "").strip() for number in range(count))
    words = tuple(unnamed(n) if name in spare else name for n, name in enumerate(called))
    return BoxClasses(words, tuple(range(count)), None)


def _restored(model: nn.Module, own: Mapping[str, Tensor]) -> list[str]:
    """Give ``model`` its ``own`` tensors back; those that the file had otherwise, in words."""
    state = model.state_dict()
    other = [_told(name, own[name], state[name]) for name in own if not torch.equal(state[name], own[name])]
    model.load_state_dict({**state, **own})
    return [f"  of the config, not of the file: {told}" for told in other]


def _told(name: str, own: Tensor, there: Tensor) -> str:
    shares = [" ".join(f"{share:g}" for share in tensor.tolist()) for tensor in (own, there)]
    return f"model.{name.rpartition('.')[2]} {shares[0]}, there {shares[1]}"


def _computed_otherwise(model: Any) -> list[str]:
    """What of ``model.corrections`` published weights were not trained with, in words."""
    kept = asdict(for_published_weights())
    other = [name for name, on in asdict(model.corrections).items() if on and not kept[name]]
    advice = "model.corrections=L(for_published_weights)() leaves them out"
    return [f"  not what these weights were trained with: {', '.join(other)}; {advice}"] if other else []


def _not_fixed(model: Any) -> list[str]:
    """What of the backbone learns here, and did not in the published trainings, in words."""
    learns = []
    if any(isinstance(module, nn.BatchNorm2d) for module in model.backbone.modules()):
        learns.append("BatchNorm (model.backbone.norm=frozen)")
    if all(parameter.requires_grad for parameter in model.backbone.parameters()):
        learns.append("the first stage (model.backbone.frozen)")
    return [f"  learns here, fixed in the published training: {', '.join(learns)}"] if learns else []


def _classes(taken: Taken, classes: BoxClasses) -> str:
    """Which of our classes come from the file, under which name there if it differs, and which are new."""
    if taken.places is None:
        return f"all {len(classes)} classes as they are there"
    there: Mapping[int, Any] = dict(enumerate(taken.classes))
    known = [
        name
        if there.get(row, "").casefold() == name.casefold()
        else f"{name} (there {row}{': ' if row in there else ''}{there.get(row, '')})"
        for name, row in ((classes.names[label], row) for label, row in taken.places.items())
    ]
    new = [name for label, name in enumerate(classes.names) if label not in taken.places]
    return (
        f"{len(known)} of {len(classes)} classes known: {', '.join(known) or 'none'}; "
        f"new: {', '.join(new) or 'none'}"
    )

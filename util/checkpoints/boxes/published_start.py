"""A detector from published weights: as the start of a training, or as it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from datasets.boxes.class_set import BoxClasses
from util.checkpoints.boxes.published import Taken, is_published, take_published
from util.config import nearest


def take_start(
    model: nn.Module, file: Path, classes: BoxClasses, parts: Sequence[str] | None = None
) -> str | None:
    """Give ``model``, a detector of ``classes``, the weights of a published ``file``; what it took, in words.

    None for a file that is not published. ``parts``: modules by name, or all. Raises ValueError for a part
    that the model lacks, and for a file that fits nothing of it.
    """
    if not is_published(file):
        return None
    modules = [name for name, _ in model.named_modules() if name]
    for part in parts or ():
        if part not in modules:
            top = [name for name in modules if "." not in name]
            raise ValueError(f"train.init_parts names {part!r}, no module of the model; {nearest(part, top)}")
    taken = take_published(model, file, class_names=classes.names, category_ids=classes.ids, parts=parts)
    return f"{file}: starting from published weights: {taken}\n  {_classes(taken, classes)}"


def _classes(taken: Taken, classes: BoxClasses) -> str:
    """Which of our classes come from the file, under which name there if it differs, and which are new."""
    if not taken.places:
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
        f"{len(known)} of {len(classes)} classes known: {', '.join(known)}; new: {', '.join(new) or 'none'}"
    )

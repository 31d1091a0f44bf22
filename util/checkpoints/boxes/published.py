"""Weights in the published form: which tensors a detector takes from such a file, and which it leaves.

A file is a bare state dict or one under ``model``, as ``.pth`` (read with ``weights_only=True``) or
``.safetensors``. Nothing in it is run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from util.checkpoints.boxes.published_names import ALIASES, CLASSES, DERIVED, published_names, published_shape

CLASS_ROWS = "transformer.encoder_class_head.bias"  # as many as a file has classes
_MARK = "transformer.encoder."  # of a published name; no name of ours begins so
_BY_CLASS = ("proposals.classify.", "decoder.class_heads.", "denoising.labels.")
_BY_ROW = ("content.weight", "encoder.background.rows.weight", "encoder.background.columns.weight")


@dataclass(frozen=True)
class Taken:
    """What a detector took from a published file. Names are the file's."""

    whole: tuple[str, ...]
    rows: dict[str, str]  # in part: what of them
    missing: tuple[str, ...]  # tensors of the detector that the file lacks
    misshapen: dict[str, str]  # left for their shape: both shapes
    unused: tuple[str, ...]  # the file's own that the detector has no place for
    classes: tuple[str, ...]  # names that the file carries, in the order of its class rows
    places: dict[int, int] | None  # class of the detector: its row of the file; None: all rows as they are

    def __str__(self) -> str:
        lines = [f"{len(self.whole)} tensors taken whole, {len(self.rows)} in part"]
        lines += [f"  in part: {name} ({what})" for name, what in self.rows.items()]
        lines += [f"  left, of another shape: {name} ({what})" for name, what in self.misshapen.items()]
        lines += [f"  missing in the file: {', '.join(self.missing)}"] if self.missing else []
        lines += [f"  not used: {', '.join(self.unused)}"] if self.unused else []
        lines += [f"  classes of the file: {', '.join(self.classes)}"] if self.classes else []
        return "\n".join(lines)


def take_published(
    model: nn.Module,
    file: str | Path,
    *,
    class_names: Sequence[str] = (),
    category_ids: Sequence[int] = (),
    parts: Sequence[str] | None = None,
) -> Taken:
    """Give ``model`` (a ``SalienceDetr``) the tensors of ``file`` and say which.

    The row of a class is the one that has its name in the file's own list of names. Where none has, rows are
    taken as they are if their number is the same; else a class takes the row that its category id points to.
    A class that finds none keeps its fresh row. Of queries and background tables as many rows are taken as
    both have. ``parts`` restricts all this to modules of the model by name. Raises ValueError for a file that
    is not of this form or gives nothing.
    """
    file = Path(file)
    weights = read_published(file)
    classes = decoded_classes(weights.pop(CLASSES, None))
    for alias, name in ALIASES.items():
        weights.setdefault(name, weights.get(alias, torch.empty(0)))
        weights.pop(alias, None)
    state, own_names = model.state_dict(), published_names(model.state_dict())
    places = _class_places(_count(weights), classes, class_names, category_ids)
    for ours in [name for name in own_names if parts is not None and not _within(name, parts)]:
        weights.pop(own_names.pop(ours), None)
    whole, rows, misshapen, missing = [], {}, {}, []
    for ours, name in own_names.items():
        found, wanted = weights.pop(name, None), published_shape(name, tuple(state[ours].shape))
        if found is None or (found.numel() == 0 and state[ours].numel()):
            missing.append(name)
        elif tuple(found.shape) == wanted and not (ours.startswith(_BY_CLASS) and places is not None):
            state[ours] = found.to(state[ours]).reshape(state[ours].shape)
            whole.append(name)
        elif ours.startswith(_BY_CLASS) and found.shape[1:] == state[ours].shape[1:]:
            state[ours], rows[name] = _by_class(state[ours], found, places or {})
        elif ours in _BY_ROW and found.shape[1:] == state[ours].shape[1:]:
            state[ours], rows[name] = _by_row(state[ours], found)
        else:
            misshapen[name] = f"{tuple(found.shape)} for {wanted}"
    if not whole:
        raise ValueError(f"{file}: no tensor fits the detector. Give a published Salience-DETR checkpoint.")
    model.load_state_dict(state)
    unused = tuple(name for name in weights if name.rpartition(".")[2] not in DERIVED)
    return Taken(tuple(whole), rows, tuple(missing), misshapen, unused, classes, places)


def read_published(file: Path) -> dict[str, Tensor]:
    """The tensors of a published file by name. Raises ValueError for anything else."""
    if not file.is_file():
        raise ValueError(f"checkpoint {file} not found. Give a published .pth or .safetensors file.")
    content = _content(file)
    inner = content.get("model", content) if isinstance(content, Mapping) else content
    if not isinstance(inner, Mapping) or not all(isinstance(value, Tensor) for value in inner.values()):
        raise ValueError(f"{file}: no table of tensors, expected names with tensors, bare or under 'model'.")
    return {str(name): tensor for name, tensor in inner.items()}


def decoded_classes(codes: Tensor | None) -> tuple[str, ...]:
    """Names from character codes, of which -1 ends each."""
    if codes is None:
        return ()
    text = "".join("\0" if code == -1 else chr(code) for code in codes.flatten().tolist())
    return tuple(text.removesuffix("\0").split("\0"))


def encoded_classes(names: Sequence[str]) -> Tensor:
    """The character codes of names, as a published file holds them."""
    return torch.tensor([code for name in names for code in (*map(ord, name), -1)], dtype=torch.int64)


def published_state(model: nn.Module, class_names: Sequence[str] = ()) -> dict[str, Tensor]:
    """The detector's tensors under their published names and shapes, for other programs that read these."""
    state, names = model.state_dict(), published_names(model.state_dict())
    tensors = {
        name: state[ours].reshape(published_shape(name, tuple(state[ours].shape)))
        for ours, name in names.items()
    }
    tensors |= {alias: tensors[name] for alias, name in ALIASES.items()}
    return tensors | ({CLASSES: encoded_classes(class_names)} if class_names else {})


def _content(file: Path) -> Any:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, EOFError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{file}: damaged, or no weights ({reason}). Get the file anew.") from error
    except Exception as error:  # a hostile pickle can make the unpickler raise anything
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{file}: refused, it holds more than tensors ({reason}).") from error


def is_published(file: Path) -> bool:
    """Whether ``file`` holds tensors under published names: no checkpoint of main.py does."""
    try:
        names = read_published(file)
    except ValueError:
        return False
    return any(name.startswith(_MARK) for name in names)


def _within(name: str, parts: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{part}.") for part in parts)


def _count(weights: Mapping[str, Tensor]) -> int:
    """Class rows of a file; 0 where it has none."""
    return len(weights.get(CLASS_ROWS, ()))


def _class_places(
    count: int, classes: Sequence[str], class_names: Sequence[str], category_ids: Sequence[int]
) -> dict[int, int] | None:
    """Our class -> row of the file, by name or else by category id; None where all rows are ours."""
    known = {name.casefold(): row for row, name in enumerate(classes)}
    by_name = {i: known[n.casefold()] for i, n in enumerate(class_names) if n.casefold() in known}
    by_id = {i: number for i, number in enumerate(category_ids) if 0 <= number < count}
    as_they_are = count == len(category_ids) or not (class_names or category_ids)
    return by_name or (None if as_they_are else by_id)


def _by_class(own: Tensor, found: Tensor, places: Mapping[int, int]) -> tuple[Tensor, str]:
    rows = {ours: row for ours, row in places.items() if ours < len(own) and 0 <= row < len(found)}
    own = own.clone()
    if rows:
        own[list(rows)] = found[list(rows.values())].to(own)
    return own, f"{len(rows)} of {len(own)} classes, from {len(found)}"


def _by_row(own: Tensor, found: Tensor) -> tuple[Tensor, str]:
    count, own = min(len(own), len(found)), own.clone()
    own[:count] = found[:count].to(own)
    return own, f"the first {count} rows of {len(found)}, for {len(own)}"

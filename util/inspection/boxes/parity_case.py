"""Files of reference numbers: what a case holds, and how far a candidate's numbers are from it."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from util.inspection.boxes.parity_rule import hash_weights, picked_places

_TINY = 1e-12
_GIVEN = ("meta", "target/", "dn/rand/")  # names of what a case is computed from


class Stated(dict[str, Any]):
    """What a file states by name. Raises ValueError for what is asked for and not there."""

    def __init__(self, file: Path, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._file = file

    def __missing__(self, name: str) -> Any:
        raise ValueError(f"{self._file}: no {name!r}, which a case of its kind needs. Get the file anew.")


@dataclass(frozen=True)
class Case:
    """One file: a seed, images by name and size, and the numbers to reach."""

    file: Path
    meta: dict[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def kind(self) -> str:
        """``eval``, ``train``, ``backbone``, ``roi`` or, without a ``meta``, ``preprocess``."""
        return self.meta.get("kind", "preprocess")

    @property
    def names(self) -> list[str]:
        """What there is to reach, large arrays once, in the order of the file."""
        plain = dict.fromkeys(name.partition("#")[0] for name in self.arrays)
        return [name for name in plain if not name.startswith(_GIVEN)]

    @property
    def tied(self) -> bool:
        """Whether tokens of equal salience stand at a cut, so that a library's order of ties decides."""
        gaps = self.meta.get("gaps", {})
        return any(gap == 0.0 for name, gap in gaps.items() if name.startswith("salience/"))


def read_case(file: Path) -> Case:
    """Raises ValueError for a file that holds anything but arrays of numbers."""
    try:
        with zipfile.ZipFile(file):  # of anything else numpy makes something else
            opened: Any = np.load(file, allow_pickle=False)
        with opened:
            arrays = Stated(file, {name: opened[name] for name in opened.files})
        meta = Stated(file, json.loads(bytes(arrays["meta"]).decode()) if "meta" in arrays else {})
        _require_sound(meta)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{file}: no reference numbers ({error}). Expected arrays written by numpy."
        ) from error
    return Case(file, meta, arrays)


def _require_sound(meta: Stated) -> None:
    """Raise ValueError for a seed or images that the rule has no numbers for."""
    if not isinstance(meta.get("seed", 0), int):
        raise ValueError(f"seed {meta['seed']!r}, expected a whole number")
    for image in meta.get("images", []):
        if list(map(type, image)) != [str, int, int] or min(image[1:]) < 1:
            raise ValueError(f"image {image!r}, expected a name, a height and a width")


def difference(case: Case, name: str, found: np.ndarray) -> float:
    """The largest difference, in parts of the reference's largest entry; infinite for another shape.

    For indices, counts and masks 0 or infinite. Of a large array the picked places and three sums count.
    """
    arrays = case.arrays
    if name in arrays:
        return _difference(arrays[name], found)
    wanted, shape = arrays[f"{name}#at"], tuple(arrays[f"{name}#shape"])
    if shape != found.shape:
        return float("inf")
    flat = found.reshape(-1).astype(np.float64)
    total, squares, weighted = arrays[f"{name}#sums"]
    norm = max(float(np.sqrt(squares * flat.size)), _TINY)  # bounds any sum with weights up to 1
    differences = (
        _difference(wanted, flat[picked_places(name, flat.size, wanted.size)]),
        abs(float(flat.sum()) - total) / norm,
        abs(float(flat @ hash_weights(name, flat.size)) - weighted) / norm,
        abs(float(flat @ flat) - squares) / max(abs(float(squares)), _TINY),
    )
    return float(np.max(differences))  # Python's max passes over a NaN


def parameter_differences(case: Case, arrays: Mapping[str, np.ndarray], table: np.ndarray) -> float:
    """The largest difference of norm and weighted sum of parameters by published name.

    ``table``: (n, 2) of the names in ``grad/names``. Each is measured against its own norm, but no finer
    than 1e-9 of the largest. A parameter that is missing counts as 0.
    """
    names = bytes(case.arrays["grad/names"]).decode().split("\n")
    least, worst = 1e-9 * float(table[:, 0].max()), 0.0
    for name, (norm, weighted) in zip(names, table, strict=True):
        flat = np.asarray(arrays.get(name, 0.0), np.float64).reshape(-1)
        sums = (
            abs(float(np.linalg.norm(flat)) - norm),
            abs(float(flat @ hash_weights(name, flat.size)) - weighted),
        )
        worst = np.maximum(worst, np.max(sums) / max(norm, least))
    return float(worst)


def stage_of(name: str) -> str:
    """``enc/3/query`` -> ``enc/query``: the names of all levels, layers and images together."""
    return "/".join(part for part in name.split("/") if not part.isdigit())


def _difference(wanted: np.ndarray, found: np.ndarray) -> float:
    if wanted.shape != found.shape:
        return float("inf")
    if wanted.dtype.kind in "bui" and found.dtype.kind in "bui":
        return 0.0 if (wanted.astype(np.int64) == found.astype(np.int64)).all() else float("inf")
    one, other = wanted.astype(np.float64), found.astype(np.float64)
    differs = ~((one == other) | (np.isnan(one) & np.isnan(other)))  # infinities are equal to themselves
    if not differs.any():
        return 0.0
    if not (np.isfinite(one[differs]).all() and np.isfinite(other[differs]).all()):
        return float("inf")
    scale = max(float(np.abs(one[np.isfinite(one)]).max()), _TINY)
    return float(np.abs(one[differs] - other[differs]).max()) / scale

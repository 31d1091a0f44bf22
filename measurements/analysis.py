"""Analyses as data: a file of measurements, each with its recipe, its sign in words, its norms and classes.

Those that ship lie in ``analyses/`` beside this file; a user's own is one more file of that form
(docs/measurements.md).
"""

import json
from collections.abc import Collection, Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from measurements.classes import Classes
from measurements.norm import Norm, is_number
from measurements.recipe import SIDED, Names, Recipe, check

_FOLDER = Path(__file__).parent / "analyses"
UNITS = ("deg", "mm", "ratio")
_FACING = ("S", "N", "Me")


@dataclass(frozen=True)
class Measurement:
    """One line of an analysis."""

    code: str  # short and distinct, such as "U1-NA deg"
    name: str
    unit: str  # deg, mm or ratio
    recipe: Recipe
    sign: str  # what a larger value means, in words of geometry
    norms: tuple[Norm, ...]
    classes: Classes | None
    spread: float | None  # standard deviation between patients; None: not measured
    note: str
    landmarks: frozenset[str]  # all that the recipe needs, facing included where it matters


@dataclass(frozen=True)
class Analysis:
    """A named list of measurements over landmarks by name."""

    name: str
    title: str
    source: str
    facing: tuple[str, str, str] | None  # sella, nasion and menton, or what stands for them
    names: Names
    measurements: tuple[Measurement, ...]

    def of_landmarks(self, landmarks: Container[str]) -> "Analysis":
        """The measurements that can be made of ``landmarks``; ValueError when there is none."""
        made = [m for m in self.measurements if all(name in landmarks for name in m.landmarks)]
        if not made:
            lacking = sorted(
                {name for m in self.measurements for name in m.landmarks if name not in landmarks}
            )
            raise ValueError(
                f"{self.names.where}: no measurement can be made of these landmarks, which lack {lacking}. "
                "Choose another analysis, or a model that finds them."
            )
        return replace(self, measurements=tuple(made))

    def require_known(self, names: Collection[str]) -> None:
        """Raise ValueError for a landmark that is none of ``names``, all that there are: it is misspelt."""
        for measurement in self.measurements:
            if strange := sorted(measurement.landmarks.difference(names)):
                raise ValueError(
                    f"{self.names.where}: {measurement.code}: landmarks {strange} are neither the model's "
                    "nor of a landmark set that ships. Check how they are written."
                )

    def missing(self, landmarks: Container[str]) -> dict[str, list[str]]:
        """The code of each measurement that cannot be made -> the landmarks that it lacks."""
        lacking = {
            m.code: sorted(name for name in m.landmarks if name not in landmarks) for m in self.measurements
        }
        return {code: names for code, names in lacking.items() if names}


def load_analysis(name_or_file: str | Path) -> Analysis:
    """A shipped analysis by name (``steiner``, ``isbi2015``, ...) or a user's own JSON file by path.

    Raises ValueError for a file that is missing or not as docs/measurements.md has it.
    """
    file = analysis_file(name_or_file)
    if not file.is_file():
        raise ValueError(
            f"analysis {str(name_or_file)!r} not found. Give one of {shipped_analyses()} or the path of a "
            ".json file."
        )
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))  # some editors put a byte order mark
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: not valid JSON ({error}).") from error
    return analysis_from_dict(data, str(file))


def analysis_file(name_or_file: str | Path) -> Path:
    """Where an analysis lies, a shipped one or a user's own, whether it is there or not."""
    file = Path(name_or_file)
    return file if file.suffix == ".json" else _FOLDER / f"{name_or_file}.json"


def shipped_analyses() -> list[str]:
    """The names of the analyses that ship."""
    return sorted(file.stem for file in _FOLDER.glob("*.json"))


def analysis_from_dict(data: Any, where: str) -> Analysis:
    """Build from parsed JSON; ``where`` names it in errors. Raises ValueError for anything not as written."""
    try:
        return _analysis(data, where)
    except (AttributeError, TypeError) as error:  # a list where an object belongs, and the like
        raise ValueError(
            f"{where}: an entry is of a wrong kind ({error}). Compare with docs/measurements.md."
        ) from error


def _analysis(data: Any, where: str) -> Analysis:
    required, known = {"name", "title", "source", "measurements"}, {"facing", "points", "lines"}
    _require_keys(data, required, required | known, where)
    items = data["measurements"]
    if not isinstance(items, list) or not items:
        raise ValueError(f"{where}: measurements {items!r}, expected a list of at least one.")
    keys = {"code", "name", "unit", "recipe", "sign"}
    for number, item in enumerate(items, start=1):
        _require_keys(
            item, keys, keys | {"norms", "classes", "spread", "note"}, f"{where}: measurement {number}"
        )
    codes = [item["code"] for item in items]
    if twice := sorted({code for code in codes if codes.count(code) > 1}):
        raise ValueError(f"{where}: codes {twice} given twice, expected each once.")
    facing = data.get("facing", list(_FACING))
    if facing is not None and not (isinstance(facing, list) and len(facing) == len(set(facing)) == 3):
        raise ValueError(
            f"{where}: facing {facing!r}, expected three landmarks such as {list(_FACING)}, or null."
        )
    names = Names(
        where=where,
        points=_points(data.get("points", {}), where),
        lines=data.get("lines", {}),
        recipes={item["code"]: item["recipe"] for item in items},
    )
    triple = None if facing is None else (facing[0], facing[1], facing[2])
    measurements = tuple(_measurement(item, names, triple) for item in items)
    return Analysis(data["name"], data["title"], data["source"], triple, names, measurements)


def _measurement(item: dict[str, Any], names: Names, facing: tuple[str, str, str] | None) -> Measurement:
    code, where = item["code"], f"{names.where}: {item['code']}"
    spread = item.get("spread")
    if not isinstance(code, str) or not (spread is None or (is_number(spread) and spread > 0)):
        raise ValueError(
            f"{where}: code {code!r}, spread {spread!r}, expected text, and a number above 0 or null."
        )
    unit, landmarks, operations = check(item["recipe"], names, (code,))
    if item["unit"] not in UNITS or unit != item["unit"]:
        raise ValueError(
            f"{where}: unit {item['unit']!r}, but its recipe gives {unit or 'a bare number'!r}, expected the "
            f"same of {UNITS}."
        )
    sided = operations.intersection(SIDED)
    if sided and facing is None:
        raise ValueError(
            f"{where}: {sorted(sided)} need a side, but facing is null. Name three landmarks there."
        )
    return Measurement(
        code=code,
        name=item["name"],
        unit=unit,
        recipe=item["recipe"],
        sign=item["sign"],
        norms=tuple(Norm.from_dict(norm, where) for norm in item.get("norms", ())),
        classes=Classes.from_dict(item["classes"], where) if item.get("classes") else None,
        spread=spread,
        note=item.get("note", ""),
        landmarks=frozenset(landmarks | (set(facing) if sided and facing else set())),
    )


def _points(data: Any, where: str) -> dict[str, tuple[str, str]]:
    """Made points: name -> ["middle", A, B]."""
    found = {}
    for name, recipe in data.items():
        if not isinstance(recipe, list) or len(recipe) != 3 or recipe[0] != "middle":
            raise ValueError(f'{where}: point {name!r} {recipe!r}, expected ["middle", A, B].')
        found[name] = (recipe[1], recipe[2])
    return found


def _require_keys(data: Any, required: set[str], known: set[str], where: str) -> None:
    if not isinstance(data, dict) or not required <= data.keys() <= known:
        found = sorted(data) if isinstance(data, dict) else data
        raise ValueError(f"{where}: found {found}, expected {sorted(required)} and at most {sorted(known)}.")

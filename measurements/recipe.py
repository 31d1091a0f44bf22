"""Recipes: how a measurement is made from landmarks, as data that a file can hold.

A recipe is a number, the code of another measurement, or a list whose first item names what is done:

    ["angle", "N>S", "N>A"]         degrees between two vectors, 0 to 180
    ["turn", "Po>Or", "Go>Me"]      degrees from one to the other, positive with the front end further down
    ["offset", "UIT", "N>A"]        mm of a point before (+) or behind (-) a line whose start is above
    ["along", "N>A", "Po>Or"]       mm of a vector along a direction
    ["across", "UIT>LIT", "Po>Or"]  mm of a vector square to a direction, positive upwards
    ["length", "S>Go"]              mm of a vector along itself
    ["plus", R, R, ...]  ["minus", R, R]  ["times", NUMBER, R]  ["ratio", R, R]
    ["signed", R, R]                the magnitude of the first with the sign of the second

"A>B" is the vector from A to B; instead the name of a line of the analysis may stand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from measurements.norm import is_number

Recipe = float | int | str | list
_LINES, _POINT_LINE, _RECIPES = "lines", "point and line", "recipes"
_OPERATIONS = {  # what follows the name, and how many
    "angle": (_LINES, 2),
    "turn": (_LINES, 2),
    "along": (_LINES, 2),
    "across": (_LINES, 2),
    "length": (_LINES, 1),
    "offset": (_POINT_LINE, 2),
    "minus": (_RECIPES, 2),
    "ratio": (_RECIPES, 2),
    "signed": (_RECIPES, 2),
    "plus": (_RECIPES, None),
    "times": ("number and recipe", 2),
}
SIDED = ("turn", "offset", "across")  # these need to know where the face looks
_DEGREES = ("angle", "turn")
_ANY = ""  # the unit of a bare number
_FIXED = "mm and a bare number"  # an operation: a sum that is right in mm alone


@dataclass(frozen=True)
class Names:
    """What recipes may name. Raises ValueError for a name that stands for two things or for itself."""

    where: str  # the file, for errors
    points: Mapping[str, tuple[str, str]]  # a point -> the two whose middle it is
    lines: Mapping[str, str]  # a line -> "A>B"
    recipes: Mapping[str, Recipe]  # a measurement's code -> its recipe

    def ends(self, line: str) -> tuple[str, str]:
        """The two points of "A>B" or of a named line."""
        parts = [part.strip() for part in self.lines.get(line, line).split(">")]
        if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:
            raise ValueError(
                f'{self.where}: line {line!r}, expected "A>B" or one of its lines {sorted(self.lines)}.'
            )
        return parts[0], parts[1]

    def landmarks_of_point(self, point: str, inside: tuple[str, ...] = ()) -> set[str]:
        """The landmarks that a point is made of."""
        if point not in self.points:
            return {point}
        if point in inside:
            raise ValueError(f"{self.where}: {' -> '.join((*inside, point))}: a point made of itself.")
        return {
            name for part in self.points[point] for name in self.landmarks_of_point(part, (*inside, point))
        }


def check(recipe: Recipe, names: Names, inside: tuple[str, ...]) -> tuple[str, set[str], set[str]]:
    """The unit ("deg", "mm", "ratio"; "" of a bare number), the landmarks and the operations of ``recipe``.

    ``inside``: the codes that it is part of, its own last. Raises ValueError, naming the measurement, for a
    cycle, an unknown name, a wrong number of items and units that do not go together.
    """
    where = f"{names.where}: {inside[-1]}"
    if not (is_number(recipe) or isinstance(recipe, str | list)):
        raise ValueError(f'{where}: {recipe!r}, expected a number, a code or a list such as ["angle", ...].')
    if not isinstance(recipe, str | list):
        return _ANY, set(), set()
    if isinstance(recipe, str):
        return _check_code(recipe, names, inside)
    operation, items = _operation(recipe, where)
    kind = _OPERATIONS[operation][0]
    if kind in (_LINES, _POINT_LINE):
        points = [point for line in items[kind == _POINT_LINE :] for point in names.ends(str(line))]
        points += [str(items[0])] if kind == _POINT_LINE else []
        landmarks = {name for point in points for name in names.landmarks_of_point(point)}
        return ("deg" if operation in _DEGREES else "mm"), landmarks, {operation}
    parts = [check(item, names, inside) for item in items]
    if any("signed" in part[2] for part in parts):  # how likely a sign is wrong is known of a whole alone
        raise ValueError(
            f"{where}: {operation!r} of a 'signed' recipe, whose sign may be wrong. Let 'signed' stand "
            "alone, or take 'along' in its place."
        )
    unit = _unit(operation, [part[0] for part in parts], where)
    landmarks, done = (set().union(*(part[number] for part in parts)) for number in (1, 2))
    if operation in ("plus", "minus") and unit == "mm" and any(part[0] == _ANY for part in parts):
        done.add(_FIXED)
    if operation == "ratio" and _FIXED in done:  # else pixels would pass where mm are unknown
        raise ValueError(
            f"{where}: 'ratio' of a sum of mm and a bare number, which has no value in pixels. Leave the "
            "number out, or multiply by it with 'times'."
        )
    return unit, landmarks, done | {operation}


def lines_of(recipe: Recipe, names: Names) -> set[tuple[str, str]]:
    """The lines that a checked recipe runs along, as their two points; those of other measurements too."""
    if isinstance(recipe, str):
        return lines_of(names.recipes[recipe], names)
    if not isinstance(recipe, list):
        return set()
    operation, *items = recipe
    kind = _OPERATIONS[operation][0]
    if kind in (_LINES, _POINT_LINE):
        return {names.ends(line) for line in items[kind == _POINT_LINE :]}
    return set().union(*(lines_of(item, names) for item in items))


def _check_code(code: str, names: Names, inside: tuple[str, ...]) -> tuple[str, set[str], set[str]]:
    where = f"{names.where}: {inside[-1]}"
    if code in inside:
        raise ValueError(f"{where}: {' -> '.join((*inside, code))}: a measurement made of itself.")
    if code not in names.recipes:
        raise ValueError(
            f"{where}: measurement {code!r} is not in this file, expected one of {sorted(names.recipes)}, "
            'or a list such as ["angle", "N>S", "N>A"].'
        )
    return check(names.recipes[code], names, (*inside, code))


def _operation(recipe: list, where: str) -> tuple[str, list[Any]]:
    operation, *items = recipe or [None]
    if not isinstance(operation, str) or operation not in _OPERATIONS:
        raise ValueError(f"{where}: {operation!r} is no operation, expected one of {sorted(_OPERATIONS)}.")
    kind, count = _OPERATIONS[operation]
    if len(items) != count and not (count is None and len(items) >= 2):
        raise ValueError(
            f"{where}: {operation!r} with {len(items)} items, expected {count or 'two or more'} ({kind})."
        )
    if operation == "times" and not is_number(items[0]):
        raise ValueError(f"{where}: 'times' {items[0]!r}, expected a number first.")
    return operation, items


def _unit(operation: str, units: Sequence[str], where: str) -> str:
    """What an operation on recipes of these units gives."""
    if operation == "times":
        return units[1]
    if operation == "signed":
        return units[0]
    stated = sorted({unit for unit in units if unit != _ANY})
    if len(stated) > 1:
        raise ValueError(f"{where}: {operation!r} of {' and '.join(stated)}, expected one unit.")
    if operation == "ratio":
        if _ANY in units and stated in (["mm"], ["deg"]):  # else pixels would pass where mm are unknown
            raise ValueError(
                f"{where}: 'ratio' of {stated[0]} and a bare number, expected two of one unit. Multiply by a "
                "number with 'times'."
            )
        return "ratio"
    return stated[0] if stated else _ANY

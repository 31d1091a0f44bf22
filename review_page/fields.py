"""Values out of a browser's JSON, each checked before anything is done with it."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from review_page.errors import RefusedError

MOST_CHARACTERS = 500  # of a note
_MARGIN = 0.05  # of a side: a landmark may lie a little outside of its film


def text(event: Mapping[str, Any], key: str, default: str = "") -> str:
    value = event.get(key, default)
    if not isinstance(value, str) or len(value) > MOST_CHARACTERS:
        raise RefusedError(
            400, f"{key}: {_short(value)}, expected text of at most {MOST_CHARACTERS} characters."
        )
    return "".join(character for character in value if character.isprintable() or character == "\n")


def flag(event: Mapping[str, Any], key: str) -> bool:
    value = event.get(key, False)
    if not isinstance(value, bool):
        raise RefusedError(400, f"{key}: {_short(value)}, expected true or false.")
    return value


def one_of(event: Mapping[str, Any], key: str, known: Collection[str]) -> str:
    value = event.get(key)
    if not isinstance(value, str) or value not in known:
        raise RefusedError(400, f"{key}: {_short(value)}, expected one of {sorted(known)}.")
    return value


def whole(data: Mapping[str, Any], key: str, below: int) -> int:
    """A whole number from 0 to below ``below``."""
    value = data.get(key)
    if type(value) is not int or not 0 <= value < below:
        raise RefusedError(400, f"{key}: {_short(value)}, expected a whole number from 0 to {below - 1}.")
    return value


def number(value: Any, key: str) -> float:
    """A finite number."""
    try:
        found = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:  # a whole number of hundreds of digits
        found = math.inf
    if not math.isfinite(found):
        raise RefusedError(400, f"{key}: {_short(value)}, expected a finite number.")
    return found


def point(value: Any, key: str, size: tuple[int, int]) -> tuple[float, float]:
    """(x, y) in index pixels on a film of ``size`` (width, height), or a little outside."""
    if not isinstance(value, list) or len(value) != 2:
        raise RefusedError(400, f"{key}: {_short(value)}, expected [x, y].")
    found = number(value[0], f"{key} x"), number(value[1], f"{key} y")
    for place, side in zip(found, size, strict=True):
        if not -0.5 - _MARGIN * side <= place <= side - 0.5 + _MARGIN * side:
            raise RefusedError(
                400, f"{key}: ({found[0]:g}, {found[1]:g}) is not on the film of {size[0]}x{size[1]} pixels."
            )
    return found


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."

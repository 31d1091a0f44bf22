"""What a mirror image exchanges: classes whose names differ by their side only."""

import re
from collections.abc import Iterable, Sequence

_SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
_QUADRANTS = {"1": "2", "2": "1", "3": "4", "4": "3", "5": "6", "6": "5", "7": "8", "8": "7"}


def pairs_by_name(classes: Sequence[str]) -> tuple[tuple[int, int], ...] | None:
    """Pairs of classes whose names differ by their side only; None when a name with a side has no partner.

    A side is the word left or right or the letter L or R standing alone, or the first figure of a tooth's
    number (FDI, ISO 3950) where all names are such numbers.
    """
    partners = [other_side(name, teeth=_are_teeth(classes)) for name in classes]
    if any(partner is not None and partner not in classes for partner in partners):
        return None
    indices = [(index, classes.index(name)) for index, name in enumerate(partners) if name is not None]
    return tuple((first, second) for first, second in indices if first < second)


def _are_teeth(classes: Iterable[str]) -> bool:
    return all(re.fullmatch(r"[1-4][1-8]|[5-8][1-5]", name) for name in classes)


def other_side(name: str, *, teeth: bool) -> str | None:
    """The name of the same structure on the other side; None for a name without a side.

    teeth: whether names are numbers of teeth (FDI, ISO 3950).
    """
    if teeth:
        return _QUADRANTS[name[0]] + name[1:]
    parts = re.split(r"([_\-. /]+)", name)
    swapped = [_in_case_of(part, _SIDES.get(part.lower(), part)) for part in parts]
    return "".join(swapped) if swapped != parts else None


def _in_case_of(pattern: str, word: str) -> str:
    if pattern.isupper():
        return word.upper()
    return word.capitalize() if pattern[:1].isupper() and word != pattern else word

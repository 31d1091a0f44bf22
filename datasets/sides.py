"""What a mirror image exchanges: classes whose names differ by their side only."""

import re
from collections.abc import Collection, Iterable, Sequence

_SIDES = {"left": "right", "right": "left", "l": "r", "r": "l", "lt": "rt", "rt": "lt"}
_QUADRANTS = {"1": "2", "2": "1", "3": "4", "4": "3", "5": "6", "6": "5", "7": "8", "8": "7"}
_PRIMARY = "ABCDEFGHIJKLMNOPQRST"  # milk teeth, universal numbering: upper right to left, lower left to right
_MOST_PRIMARY = 15  # of 20
_MOST_TEETH = 24  # of 32: so many numbers are no grades of something
_BETWEEN_WORDS = re.compile(r"([\W_]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]))")  # LeftLung, LLung too
_NUMBERED = re.compile(r"((?:(?:tooth|teeth)[\W_]*|#)?)(\d{1,2})", re.I)
_TOOTH = re.compile(r"((?:(?:tooth|teeth|fdi)[\W_]*|#)?)([1-4](?=[1-8]$)|[5-8](?=[1-5]$))([1-8])", re.I)


def pairs_by_name(classes: Sequence[str]) -> tuple[tuple[int, int], ...] | None:
    """Pairs of classes whose names differ by their side only; None when a name with a side has no partner.

    A side is the word left or right, Lt or Rt, or the letter L or R standing alone or as a capital of its own
    (``LungL``), or the first figure of a tooth's number (FDI, ISO 3950) where all names that are numbers are
    such. Nearly all of 1 to 32 are teeth by the universal numbering: 1 has 16 opposite, 17 has 32; nearly all
    of A to T are milk teeth: A has J opposite, K has T. L and R among other letters may be anything: None.
    Inside of a word (``leftlung``, ``bright``) left and right are a side where the other is a class.
    """
    teeth, universal = _are_teeth(classes), _universal_partners(classes) | _primary_partners(classes)
    letters = {letter.lower() for letter in _letters(classes) - universal.keys()}
    if letters & {"l", "r"} and letters - {"l", "r"}:
        return None
    partners = [
        universal.get(name) or other_side(name, teeth=teeth) or _side_inside(name, classes)
        for name in classes
    ]
    if any(partner is not None and partner not in classes for partner in partners):
        return None
    indices = [(index, classes.index(name)) for index, name in enumerate(partners) if name is not None]
    return tuple((first, second) for first, second in indices if first < second)


def in_words(classes: Sequence[str], pairs: Sequence[tuple[int, int]] | None) -> str:
    """What a mirror image does to these classes, for people to check."""
    if pairs is None:
        return (
            "a class has a side and no partner, or L and R are among other letters: mirror images are refused"
        )
    named = [f"{classes[first]} and {classes[second]}" for first, second in pairs]
    return f"a mirror image exchanges: {', '.join(named) or 'no classes'}"


def _are_teeth(classes: Iterable[str]) -> bool:
    numbers = [name for name in classes if name.isdecimal() or _TOOTH.fullmatch(name)]
    return bool(numbers) and all(map(_TOOTH.fullmatch, numbers))


def _universal_partners(classes: Iterable[str]) -> dict[str, str]:
    """Tooth -> that of the other side, where numbers go from 1, upper right, to 32, lower right; or {}."""
    names = {int(found[2]): name for name in classes if (found := _NUMBERED.fullmatch(name))}
    if len(names) < _MOST_TEETH or not names.keys() <= set(range(1, 33)):
        return {}
    other = {number: (17 if number <= 16 else 49) - number for number in names}
    return {name: names.get(other[number], f"tooth {other[number]}") for number, name in names.items()}


def _primary_partners(classes: Iterable[str]) -> dict[str, str]:
    """Milk tooth -> that of the other side, where nearly all of A to T are there, no other letter; or {}."""
    names = _letters(classes)
    if len(names) < _MOST_PRIMARY or not names <= set(_PRIMARY):
        return {}
    places = {name: _PRIMARY.index(name) for name in names}
    return {name: _PRIMARY[(9 if place < 10 else 29) - place] for name, place in places.items()}


def _letters(classes: Iterable[str]) -> set[str]:
    return {name for name in classes if len(name) == 1 and name.isalpha()}


def other_side(name: str, *, teeth: bool) -> str | None:
    """The name of the same structure on the other side; None for a name without a side.

    teeth: whether numbers are those of teeth (FDI, ISO 3950).
    """
    if teeth and (tooth := _TOOTH.fullmatch(name)):
        return tooth[1] + _QUADRANTS[tooth[2]] + tooth[3]
    parts = _BETWEEN_WORDS.split(name)
    swapped = [_in_case_of(part, _SIDES.get(part.lower(), part)) for part in parts]
    return "".join(swapped) if swapped != parts else None


def _side_inside(name: str, classes: Collection[str]) -> str | None:
    """The class that is named as ``name`` but for left and right, which no border of a word sets apart."""
    other = re.sub("left|right", lambda side: _in_case_of(side[0], _SIDES[side[0].lower()]), name, flags=re.I)
    return other if other != name and other in classes else None


def _in_case_of(pattern: str, word: str) -> str:
    if pattern.isupper():
        return word.upper()
    return word.capitalize() if pattern[:1].isupper() and word != pattern else word

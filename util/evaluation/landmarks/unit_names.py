"""Lengths under names that say their unit, in files and in words."""

from collections.abc import Mapping
from typing import Any

from transforms.sample import MILLIMETRES

_MM, _PERCENT = "_mm", "_percent_of_length"


def named_by_unit(content: Any, unit: str) -> Any:
    """``content`` as it is in mm; else with every key ``..._mm`` as ``..._percent_of_length``."""
    return content if unit == MILLIMETRES else _renamed(content, _MM, _PERCENT)


def named_as_mm(content: Any) -> Any:
    """What ``named_by_unit`` made, with the keys that the code has."""
    return _renamed(content, _PERCENT, _MM)


def short(unit: str) -> str:
    """For a narrow column, where a note says the rest: "mm" or "%"."""
    return unit.partition(" ")[0]


def mean_error(headline: Mapping[str, Any]) -> float:
    """The mean radial error of a headline, whatever its unit."""
    return float(headline["mre_mm"] if "mre_mm" in headline else headline[f"mre{_PERCENT}"])


def _renamed(content: Any, old: str, new: str) -> Any:
    if isinstance(content, Mapping):
        return {
            (key.removesuffix(old) + new if str(key).endswith(old) else key): _renamed(value, old, new)
            for key, value in content.items()
        }
    return [_renamed(item, old, new) for item in content] if isinstance(content, list) else content

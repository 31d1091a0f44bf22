"""Measurements in words and columns, for a terminal and a page."""

from collections.abc import Sequence
from typing import Any

HEADER = ("measurement", "value", "95 % interval", "norm", "class", "driven by", "flags")
UNIT_SIGNS = {"deg": "°", "mm": " mm", "ratio": ""}
_DECIMALS = {"deg": 1, "mm": 1, "ratio": 3}


def row(record: dict[str, Any]) -> tuple[str, ...]:
    """The cells of one measurement, as ``HEADER`` has them; "-" where something is unknown."""
    unit, drivers = record["unit"], record["drivers"]
    interval = record["interval95"]
    return (
        record["code"],
        "-" if record["value"] is None else _with_unit(record["value"], unit),
        "-" if interval is None else f"{_number(interval[0], unit)} to {_number(interval[1], unit)}",
        _norm(record),
        "-" if record["class"] is None else record["class"]["text"],
        ", ".join(f"{driver['landmark']} {driver['share']:.0%}" for driver in drivers[:2]) or "-",
        ", ".join(record["flags"]) or "-",
    )


def text_table(records: Sequence[dict[str, Any]]) -> str:
    """The measurements of one analysis for a terminal."""
    rows = [HEADER, *map(row, records)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEADER))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) for cells in rows
    ]
    return "\n".join([lines[0].rstrip(), "-" * len(lines[0]), *(line.rstrip() for line in lines[1:])])


def _norm(record: dict[str, Any]) -> str:
    norm, unit = record["norm"], record["unit"]
    if norm is None:
        return "-"
    spread = "" if norm["sd"] is None else f" ± {norm['sd']:g}"
    sex = "" if norm["sex"] == "both" else f", {norm['sex']}"
    figures = f"{_number(norm['mean_for_age'], unit)}{spread}{sex}"
    if not norm["verified"]:
        return f"unverified ({figures})"
    return figures if norm["deviations"] is None else f"{figures} ({norm['deviations']:+.1f} SD)"


def _with_unit(value: float, unit: str) -> str:
    return f"{_number(value, unit)}{UNIT_SIGNS[unit]}"


def _number(value: float, unit: str) -> str:
    return f"{value:.{_DECIMALS[unit]}f}"

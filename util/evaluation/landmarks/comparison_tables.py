"""A comparison of runs as a table: for the terminal, and as Markdown."""

from collections.abc import Sequence
from typing import Any

from transforms.sample import MILLIMETRES
from util.evaluation.landmarks.metrics import OUTLIER_MM
from util.evaluation.landmarks.unit_names import short
from util.reporting.text_table import aligned

_NOTE = (
    "MRE: mean radial error, {unit}. SDR 2: percent within 2 {short}. > 4, > {outlier:g} {short}: percent of "
    "landmarks. "
    "Calibration: expected calibration error of the uncertainty, percent. Difference to the first run on the "
    "same images, with its paired 95 % bootstrap interval over images; * where that excludes 0."
)


def header(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Column titles that go with ``cells``."""
    unit = short(rows[0].get("unit", MILLIMETRES))
    titles = ["run", "MRE (95 %)", "difference", "SDR 2", "difference", f"> 4 {unit}"]
    titles += [f"> {OUTLIER_MM:g} {unit}"]
    titles += ["difference", "calibration"]
    return titles + (["ms", "params M"] if "p50_ms" in rows[0] else [])


def cells(row: dict[str, Any], *, is_first: bool) -> list[str]:
    """One run of ``comparison.compare``, with latency and parameters where they were measured."""
    low, high = row["mre_ci95_mm"]

    def difference(name: str, digits: int) -> str:
        return "" if is_first else _difference(row["difference_to_first"][name], digits)

    return [
        row["name"],
        f"{row['mre_mm']:.3f} ({low:.3f} to {high:.3f})",
        difference("mre_mm", 3),
        f"{row['sdr2_percent']:.1f}",
        difference("sdr2_percent", 1),
        f"{row['over_4_percent']:.2f}",
        f"{row['over_10_percent']:.2f}",
        difference("over_10_percent", 2),
        f"{row['calibration_error_percent']:.1f}",
        *([f"{row['p50_ms']:.0f}", f"{row['params_m']:.1f}"] if "p50_ms" in row else []),
    ]


def text_table(rows: Sequence[dict[str, Any]]) -> str:
    """For a terminal."""
    return aligned(_table(rows))


def markdown_table(rows: Sequence[dict[str, Any]]) -> str:
    """With a note that says what the columns are."""
    table = [[cell.replace("|", "\\|") for cell in line] for line in _table(rows)]
    table.insert(1, ["---"] * len(table[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in table) + f"\n\n{note(rows)}\n"


def note(rows: Sequence[dict[str, Any]]) -> str:
    unit = rows[0].get("unit", MILLIMETRES)
    return _NOTE.format(outlier=OUTLIER_MM, unit=unit, short=short(unit))


def _table(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    return [header(rows), *(cells(row, is_first=index == 0) for index, row in enumerate(rows))]


def _difference(difference: dict[str, Any], digits: int) -> str:
    low, high = difference["ci95"]
    star = "*" if low > 0 or high < 0 else ""
    return f"{difference['mean']:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f}){star}"

"""The curve of what marked films bring."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure


def curve_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Mean radial error by the number of marked films, a line a scenario of tools/evaluate_protocols.py.

    A dotted line is where all other films would lead; the left end is the model as it was.
    """
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.add_subplot()
    numbers = sorted({one["films"] for row in rows for one in row["films"]})
    for index, row in enumerate(rows):
        places = [0, *(1 + numbers.index(one["films"]) for one in row["films"])]
        heights = [row["before"]["mre_mm"], *(one["mre_mm"] for one in row["films"])]
        axes.plot(places, heights, "o-", color=f"C{index}", label=row["scenario"])
        axes.axhline(row["all_others"]["mre_mm"], color=f"C{index}", linestyle=":", linewidth=1)
    axes.set_xticks(range(len(numbers) + 1), ["0", *map(str, numbers)])
    axes.set(xlabel="marked films", ylabel="mean radial error on the others, mm", ylim=(0, None))
    axes.grid(color="#e5e7eb")
    axes.legend()
    return figure

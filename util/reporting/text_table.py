"""Tables for a terminal."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], *, rules: Sequence[int] = (1,)) -> str:
    """Rows of cells in columns two spaces apart: the first flush left, the others flush right.

    rules: numbers of the rows, from 0, that a line is drawn above; the first row is the header.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    rule = "-" * len(lines[0])
    return "\n".join(text for n, line in enumerate(lines) for text in ([rule] if n in rules else []) + [line])

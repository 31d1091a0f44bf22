"""Generated passages in a file that people write: what stands between two marker comments."""

from pathlib import Path

from util.files import write_atomic


def require_marked(file: Path, name: str) -> tuple[str, str]:
    """What stands in ``file`` up to and with the begin marker of ``name``, and from its end marker on.

    Raises ValueError unless both markers are there once, in order.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if not file.is_file():
        raise ValueError(f"{file} not found, expected a text file with the markers {begin} and {end}.")
    text = file.read_text(encoding="utf-8")
    for marker in (begin, end):
        if text.count(marker) != 1:
            raise ValueError(
                f"{file}: {text.count(marker)} times the marker {marker}, expected once. Put {begin} and "
                f"{end} on lines of their own around the passage."
            )
    before, after = text.split(begin)[0] + begin, end + text.split(end)[1]
    if len(before) + len(after) > len(text):
        raise ValueError(f"{file}: the marker {end} stands before {begin}. Exchange them.")
    return before, after


def write_marked(file: Path, name: str, passage: str) -> None:
    """Replace the passage ``name`` of ``file``, and nothing else. Raises ValueError without its markers."""
    before, after = require_marked(file, name)
    write_atomic(file, f"{before}\n{passage.strip()}\n{after}")

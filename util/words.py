"""Words that many messages share."""

from collections.abc import Iterable


def first_few(names: Iterable[object], most: int = 5) -> str:
    """The first ``most`` of ``names`` joined by commas, and how many more there are: "a, b and 7 more"."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more

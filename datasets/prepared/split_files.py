"""A split that a JSON file names, for data whose division is published or shared with another set."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datasets.prepared.subsets import read_json


def read_split(file: Path, names: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Names of images by split as ``file`` has them, and those of ``names`` that it leaves out.

    file: ``{"train": [names], "val": [...], "test": [...]}``, with or without suffixes. Raises ValueError for
    a name that is not among ``names`` or comes twice, and for a split without a name.
    """
    data: Any = read_json(file)
    there = set(names)
    split = {
        str(part): list(map(_stem, members)) for part, members in data.items() if isinstance(members, list)
    }
    if not split or len(split) != len(data) or not all(split.values()):
        raise ValueError(
            f'{file}: expected {{"train": [names of images], ...}} with one name or more in each.'
        )
    counts = Counter(stem for members in split.values() for stem in members)
    absent, twice = sorted(counts.keys() - there), sorted(stem for stem, n in counts.items() if n > 1)
    if absent or twice:
        kind, which = ("not among the annotated images", absent) if absent else ("named twice", twice)
        raise ValueError(f"{file}: {len(which)} {kind} ({', '.join(which[:5])}). Correct the names.")
    return split, sorted(there - counts.keys())


def _stem(name: Any) -> str:
    """A name with or without its suffix."""
    text = str(name)
    suffix = Path(text).suffix.lower()
    return Path(text).stem if suffix in (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm") else text

"""What the cases of a prepared folder are called."""

import re
from collections.abc import Iterable
from pathlib import Path

from datasets.files.kinds import stem_of
from util.files import printable


def case_names(files: Iterable[Path]) -> dict[Path, str]:
    """A name for each file that may stand in any file system: others become ``_``, doubles a number."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for file in files:
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", printable(stem_of(file))).lstrip(".-") or "image"
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name)
        names[file] = name
    return names

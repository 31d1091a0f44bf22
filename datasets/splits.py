"""Seeded splits by image, and the hashes that say which files a data set was made from."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path


def split_by_image(names: Iterable[str], sizes: Mapping[str, int], seed: int) -> dict[str, tuple[str, ...]]:
    """Deal ``names`` into splits of the given ``sizes``, each name into exactly one, names sorted within.

    The order is by a hash of seed and name: the same on every machine and with every library version.
    Raises ValueError when a name comes twice, a size is below one or the sizes do not sum to the names.
    """
    names = tuple(names)
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"names {twice} come more than once, expected distinct ones: a split is by image.")
    if min(sizes.values()) < 1 or sum(sizes.values()) != len(names):
        raise ValueError(
            f"split {dict(sizes)} sums to {sum(sizes.values())}, expected {len(names)}, each at least 1."
        )
    order = sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    split, start = {}, 0
    for subset, size in sizes.items():
        split[subset] = tuple(sorted(order[start : start + size]))
        start += size
    return split


def sha256(file: Path) -> str:
    """Hexadecimal SHA-256 of a file's content, read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

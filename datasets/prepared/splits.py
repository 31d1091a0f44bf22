"""Seeded splits by image, and the hashes that say which files a data set was made from."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar


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


@dataclass(frozen=True)
class Fold:
    """One of ``count`` equal parts of the images of train and val, taken for validation; from 1."""

    PARTS: ClassVar = ("train", "val")

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Fold":
        """From ``"2/5"``, the second of five. Raises ValueError when there is no such fold."""
        numbers = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        fold = cls(*map(int, numbers.groups())) if numbers else None
        if fold is None or fold.count < 2 or not 1 <= fold.number <= fold.count:
            raise ValueError(f"fold {text!r}, expected NUMBER/COUNT such as 1/5, from 1/5 to 5/5.")
        return fold

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def subset(self, part: str) -> str:
        """How ``PreparedDataset`` is asked for the train or the val of this fold: ``val@1/5``."""
        return f"{part}@{self}"

    def split(self, names: Iterable[str], seed: int) -> dict[str, tuple[str, ...]]:
        """``names`` dealt into train and val; over all folds of one count, each is in val exactly once.

        Raises ValueError when there are fewer names than folds.
        """
        names = tuple(names)
        if len(names) < self.count:
            raise ValueError(
                f"fold {self}: {len(names)} images cannot be dealt into {self.count} folds. Give fewer folds."
            )
        share, rest = divmod(len(names), self.count)
        sizes = {str(number): share + (number <= rest) for number in range(1, self.count + 1)}
        parts = split_by_image(names, sizes, seed)
        val = parts.pop(str(self.number))
        return {"train": tuple(sorted(name for part in parts.values() for name in part)), "val": val}

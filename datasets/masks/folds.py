"""Parts of a data set for cross-validation, dealt by person and evenly by what metadata say."""

import hashlib
from collections import Counter
from collections.abc import Mapping


def folds_by_person(
    persons: Mapping[str, str], count: int, seed: int, strata: Mapping[str, str] | None = None
) -> list[list[str]]:
    """Cases dealt into ``count`` parts of about equal size; all cases of a person go to one part.

    persons: whose image each case is; strata: a label each case, such as a sex, of which every part gets
    about the same number. The order is by a hash of seed and person: the same on every machine. Raises
    ValueError when there are fewer persons than parts.
    """
    images: dict[str, list[str]] = {}
    for case, person in persons.items():
        images.setdefault(person, []).append(case)
    if count < 2 or len(images) < count:
        raise ValueError(
            f"{len(images)} persons in {count} folds: expected 2 folds or more, and a person or more in each."
        )
    parts: list[list[str]] = [[] for _ in range(count)]
    of_stratum: list[Counter[str]] = [Counter() for _ in range(count)]
    for person in sorted(images, key=lambda name: (-len(images[name]), _hash(seed, name))):
        stratum = (strata or {}).get(images[person][0], "")
        part = min(range(count), key=lambda p: (of_stratum[p][stratum], len(parts[p]), p))
        parts[part] += images[person]
        of_stratum[part][stratum] += len(images[person])
    return [sorted(part) for part in parts]


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()

"""Images, persons and splits: what belongs together is told by names, never by order."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

_GOLDEN = (5**0.5 - 1) / 2  # multiples of it, less whole numbers, lie evenly however many there are


def persons_of(
    images: Mapping[str, Path], annotations: Mapping[str, Path], folder: Path, source: str
) -> dict[str, str]:
    """Whose image each is, by stem.

    source: ``folder`` takes the name of the folder that an image lies in, ``image`` each image as a person
    of its own, and ``auto`` the folder where all images lie in folders below ``folder`` and their
    annotations in folders of the same names. Where all images lie loose and their annotations in folders,
    ``folder`` and ``auto`` take those. Raises ValueError for ``folder`` where neither tells.
    """
    loose = [stem for stem, file in images.items() if file.parent.resolve() == folder.resolve()]
    if source != "image" and len(loose) == len(images) and _in_folders(images, annotations):
        return {stem: annotations[stem].parent.name for stem in images}
    if source == "folder" and loose:
        raise ValueError(
            f"{folder}: {loose[0]!r} and {len(loose) - 1} more lie in no folder of a person, expected all to."
        )
    alike = annotations and all(
        stem not in annotations or annotations[stem].parent.name == file.parent.name
        for stem, file in images.items()
    )
    if source == "folder" or (source == "auto" and alike and not loose):
        return {stem: file.parent.name for stem, file in images.items()}
    return {stem: stem for stem in images}


def _in_folders(images: Mapping[str, Path], annotations: Mapping[str, Path]) -> bool:
    """Whether the annotations of ``images`` lie in several folders, none of which is in another."""
    folders = {annotations[stem].parent for stem in images if stem in annotations}
    nested = any(parent in folders for folder in folders for parent in folder.parents)
    return len(folders) > 1 and not nested and images.keys() <= annotations.keys()


def deal_split(
    persons: Mapping[str, str],
    shares: Mapping[str, float],
    seed: int,
    strata: Mapping[str, str] | None = None,
) -> dict[str, list[str]]:
    """Cases dealt by person into train and the splits of ``shares``, evenly by the label in ``strata``.

    The order is by a hash of seed and person. A split that is given a share gets a person or more. Raises
    ValueError for a share that is none, and when nothing is left for train.
    """
    for name, share in shares.items():
        if not 0.0 <= share < 1.0:
            raise ValueError(f"--{name} {share}: expected a share of the persons from 0 to below 1.")
    cases: dict[str, list[str]] = {}
    for case, person in persons.items():
        cases.setdefault(person, []).append(case)
    of_stratum: dict[str, list[str]] = {}
    for person in sorted(cases, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest()):
        of_stratum.setdefault((strata or {}).get(cases[person][0], ""), []).append(person)
    places = {
        person: ((index + (0.5 + number * _GOLDEN) % 1.0) / len(group), label)
        for number, (label, group) in enumerate(sorted(of_stratum.items()))
        for index, person in enumerate(group)
    }
    order = sorted(places, key=places.__getitem__)  # every stretch holds its share of every stratum
    split, start = {}, 0
    for name, share in shares.items():
        count = max(1, round(share * len(order))) if share > 0 else 0
        if count:
            split[name] = order[start : start + count]
        start += count
    if start >= len(order):
        raise ValueError(
            f"{len(order)} persons, {start} of them for {', '.join(split)}: nothing is left for train. Give "
            "smaller shares, or a split file."
        )
    whole = {"train": order[start:], **split}
    return {name: sorted(case for person in group for case in cases[person]) for name, group in whole.items()}

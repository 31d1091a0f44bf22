"""The images of text labels, looked up in folders by the names that lists and label files give them."""

import os
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from datasets.boxes.coco_folder import find_image
from datasets.boxes.faults import Faults
from datasets.files.kinds import IMAGE_SUFFIXES


def image_stem(name: str) -> str:
    """The name of an image without its suffix; ``1.2.840`` has none."""
    path = Path(name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name


class NamedImages:
    """The images in ``folders``. What is not found is an error of ``faults``, and None."""

    def __init__(self, folders: Sequence[Path], faults: Faults) -> None:
        self._folders = folders
        self._faults = faults
        self._by_stem = cache(_by_stem)  # a folder is listed once, however many images it holds

    def listed(self, image: Path) -> Path | None:
        """The very file ``image`` if it lies in the folders, else theirs of its name, else of its stem."""
        if image.is_file() and any(_lies_below(folder, image) for folder in self._folders):
            return image
        return self.named(image.name, image_stem(image.name))

    def named(self, *names: str) -> Path | None:
        """The first of ``names`` that is there; one without a suffix stands for any suffix."""
        whole = [one for name in names for one in self._with_suffix(name)]
        there = [one for one in whole if any((folder / one).is_file() for folder in self._folders)]
        try:
            return find_image(self._folders, (there or names)[0])
        except ValueError as error:
            self._faults.error(f"{error}.")
            return None

    def _with_suffix(self, name: str) -> list[str]:
        """``name`` with the suffixes that it has in the folders, in the order of ``IMAGE_SUFFIXES``."""
        if image_stem(name) != Path(name).name:
            return [name]
        place = Path(name)
        found = {
            file for folder in self._folders for file in self._by_stem(folder / place.parent)[place.name]
        }
        return [str(place.with_name(file)) for file in sorted(found, key=_rank)]


class Owners:
    """Who has which image: a file can be that of one entry only. A second one is an error of ``faults``."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._by_file: dict[str, str] = {}

    def takes(self, entry: str, file: Path) -> bool:
        """Whether ``file`` is free for ``entry``, or its own already."""
        owner = self._by_file.setdefault(os.path.abspath(file), entry)
        if owner != entry:
            self._faults.error(
                f"{owner} and {entry}: both would be {file}, expected an image each. "
                "Correct the names, or give --images the folder that holds both."
            )
        return owner == entry


def _by_stem(folder: Path) -> defaultdict[str, list[str]]:
    names = defaultdict(list)
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.suffix.lower() in IMAGE_SUFFIXES:
            names[file.stem].append(file.name)
    return names


def _rank(name: str) -> tuple[int, str]:
    suffix = Path(name).suffix
    return IMAGE_SUFFIXES.index(suffix.lower()), suffix.swapcase()  # .jpg before .JPG


def _lies_below(folder: Path, file: Path) -> bool:
    return Path(os.path.abspath(file)).is_relative_to(os.path.abspath(folder))

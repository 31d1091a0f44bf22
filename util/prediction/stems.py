"""What the files made of an image are called."""

from pathlib import Path

from datasets.files.kinds import stem_of


class Stems:
    """A stem of its own for every image: numbered where files of two folders share one."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, file: str | Path, slice_number: int | None) -> str:
        """STEM, or STEM_slice0001 of a file of several images; STEM_2 where it is taken."""
        number, first = 2, plain_stem(file, slice_number)
        stem = first
        while stem in self._taken:
            stem, number = f"{first}_{number}", number + 1
        self._taken.add(stem)
        return stem


def plain_stem(file: str | Path, slice_number: int | None) -> str:
    """STEM, or STEM_slice0001 of a file of several images, whoever shares it."""
    stem = stem_of(file)
    return stem if slice_number is None else f"{stem}_slice{slice_number:04d}"

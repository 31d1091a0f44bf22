"""The image that a look into a model is about."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from datasets.files.image_files import SourceImage, read_images


def chosen_image(
    file: str | Path, number: int | None = None, spacing: Sequence[float] | None = None
) -> SourceImage:
    """The only image of a file, or its image ``number``, counted from 1; ``spacing`` overrides the file's.

    Raises ValueError when the file cannot be read, has no such image, or has several and none was chosen.
    """
    first = 0 if number is None else number - 1
    found = list(islice(read_images(file, spacing), first, first + 2)) if first >= 0 else []
    if not found:
        raise ValueError(f"{file}: has no image {number}, expected a number from 1. Choose another --slice.")
    if number is None and len(found) > 1:
        raise ValueError(f"{file}: holds several images, expected one. Choose one with --slice N, from 1.")
    return found[0]

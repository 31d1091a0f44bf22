"""The ids that a COCO file gives its images, for results that COCO's tools can compare with it."""

from dataclasses import dataclass
from pathlib import Path, PurePath

from datasets.files.image_files import SourceImage
from datasets.prepared.subsets import read_json
from util.files import printable


@dataclass(frozen=True)
class ImageIds:
    """Ids by file name. A name with folders is of the image whose path ends with them."""

    file: Path
    by_name: dict[str, dict[tuple[str, ...], int]]  # by the bare name: parts of the whole, and the id

    @classmethod
    def read(cls, file: Path) -> "ImageIds":
        """From a COCO file. Raises ValueError where an image lacks a name or an id, or a name comes twice."""
        by_name: dict[str, dict[tuple[str, ...], int]] = {}
        for image in read_json(file).get("images") or ():
            name, number = image.get("file_name"), image.get("id")
            if not isinstance(name, str) or not isinstance(number, int):
                raise ValueError(f"{file}: image {number!r} ({name!r}): expected an integer id and a name.")
            parts = PurePath(name).parts
            if by_name.setdefault(parts[-1], {}).setdefault(parts, number) != number:
                raise ValueError(f"{file}: {name} comes more than once, expected an id each.")
        if not by_name:
            raise ValueError(f"{file}: no `images`, expected a COCO file (instances_*.json).")
        return cls(file, by_name)

    def of(self, image: SourceImage) -> int:
        """Raises ValueError for an image that is not there, and for one of several in its file."""
        parts = image.file.absolute().parts
        ids = {
            number
            for name, number in self.by_name.get(image.file.name, {}).items()
            if parts[-len(name) :] == name
        }
        if len(ids) != 1 or image.slice is not None:
            found = "no" if not ids else f"{len(ids)}" if len(ids) > 1 else "one"
            raise ValueError(
                f"{printable(image.file)}: {found} image of {self.file} has this path"
                f"{'' if image.slice is None else ', and this file holds several'}, expected one for one."
            )
        return ids.pop()

    def known(self, image: SourceImage) -> SourceImage:
        """``image``; raises as ``of`` does."""
        self.of(image)
        return image

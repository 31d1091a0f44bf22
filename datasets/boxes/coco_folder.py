"""Where COCO's usual folders keep a subset: ``annotations/instances_train2017.json`` and ``train2017/``."""

from collections.abc import Sequence
from pathlib import Path


def find_subset(folder: Path, subset: str) -> tuple[Path, Path]:
    """The annotation file and the folder of images of ``train`` or ``val``, of whatever year.

    Raises ValueError when there is none, or more than one.
    """
    found = sorted((folder / "annotations").glob(f"instances_{subset}*.json"))
    exact = [file for file in found if file.stem == f"instances_{subset}"]
    file = (exact or found)[0] if len(exact or found) == 1 else None
    if file is None:
        there = sorted(path.name for path in (folder / "annotations").glob("*.json"))
        reason = f"{len(found)} files" if found else "no file"
        advice = (
            f"Name one of them as the subset, such as {found[0].stem.removeprefix('instances_')}."
            if found
            else "Or give a prepared folder with dataset.json; tools/prepare_coco.py makes one."
        )
        raise ValueError(
            f"{folder}: {reason} annotations/instances_{subset}*.json (there: {', '.join(there) or 'none'}), "
            f"expected one. {advice}"
        )
    name = file.stem.removeprefix("instances_")
    places = [folder / name, folder / "images" / name, folder / subset, folder / "images" / subset]
    images = next((place for place in (*places, folder / "images") if place.is_dir()), None)
    if images is None:
        raise ValueError(
            f"{folder}: no folder {name} with the images of {file.name}, expected one beside it."
        )
    return file, images


def find_image(folders: Sequence[Path], name: str) -> Path:
    """The one file ``name``, with or without its own folders, in ``folders``. Raises ValueError otherwise."""
    for candidate in (name, Path(name).name):
        places = dict.fromkeys(folder / candidate for folder in folders)  # an absolute name is one place
        found = [place for place in places if place.is_file()]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(
                f"{name} is in {len(found)} folders: {found[0]} and {found[1]}. Give one of them"
            )
    raise ValueError(f"image {name} is not in {', '.join(map(str, folders))}. Add it, or give its folder")

"""Masks as pictures: a folder a class, in it a file an image."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from datasets.masks.annotation import Annotation, Notes
from datasets.masks.polygon_files import by_stem

_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif")  # JPEG blurs edges, so a mask in it is none


def find_mask_files(folder: Path) -> dict[str, dict[str, Path]]:
    """Files by class and stem. Raises ValueError for no folder of a class, or one without a file."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not classes:
        raise ValueError(f"{folder}: no folder in it, expected one a class, with a mask an image in each.")
    return {path.name: _files_of(path) for path in classes}


def _files_of(folder: Path) -> dict[str, Path]:
    files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in _SUFFIXES]
    stems = {file.stem for file in files}
    blurred = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in (".jpg", ".jpeg")]
    if alone := [file.name for file in blurred if file.stem not in stems]:
        raise ValueError(
            f"{folder}: masks as JPEG, which blurs their edges: {len(alone)} ({', '.join(alone[:3])}). "
            "Convert the originals to PNG."
        )
    return by_stem(files, folder, "mask (PNG)")


def read_masks(stem: str, files: dict[str, dict[str, Path]], notes: Notes) -> Annotation:
    """The structures of an image; a class without a file for it has none. Raises ValueError for two sizes."""
    found = {name: by_stem[stem] for name, by_stem in files.items() if stem in by_stem}
    masks = {name: read_mask(file, notes) for name, file in found.items()}
    sizes = {mask.shape[::-1] for mask in masks.values()}
    if len(sizes) > 1:
        raise ValueError(
            f"{stem}: masks of sizes {sorted(sizes)} ({', '.join(map(str, found.values()))}), expected one."
        )
    where = ", ".join(map(str, found.values()))
    return Annotation(stem, where, masks=masks, size=next(iter(sizes), None))


def read_mask(file: Path, notes: Notes) -> np.ndarray:
    """(H, W) bool: pixels of half the brightest value and more: 1 of 1, 128 of 255; none of a black file.

    It is turned as its EXIF orientation says. Raises ValueError naming the file when it is no picture, and
    where what is transparent says otherwise: nobody knows which of the two is the mask.
    """
    try:
        with file.open("rb") as stream, Image.open(stream) as stored:  # of a path, lying TIFFs are garbled
            picture = ImageOps.exif_transpose(stored)  # as the image's reader turns the image
            alpha = np.asarray(picture.convert("RGBA"))[..., 3] if picture.has_transparency_data else None
            values = np.asarray(picture if picture.mode.startswith("I") else picture.convert("L"))
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for files that are none
        raise ValueError(f"{file}: not a mask that can be read ({error}). Export it as PNG.") from error
    brightest = int(values.max())
    if not np.isin(values, (0, brightest)).all():
        notes.add("grey masks, cut at half their brightest value", f"{file.parent.name}/{file.name}")
    mask = values >= max(1, (brightest + 1) // 2)
    if alpha is not None and alpha.min() < alpha.max() and ((alpha >= 128) != mask).any():
        raise ValueError(
            f"{file}: what is bright and what is not transparent differ, expected one mask. Export it in "
            "black and white, without transparency."
        )
    return mask

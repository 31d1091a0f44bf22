"""Any X-ray file that people have, as 8-bit grey images with their spacing.

PNG, JPEG, BMP, TIFF (several pages too), DICOM (several frames too) and MetaImage stacks. A stack is
read slice by slice, so memory does not grow with its length.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from datasets.files.dicom_files import is_dicom, read_dicom
from datasets.files.grey import to_grey8
from datasets.files.mha_files import open_stack

logger = logging.getLogger(__name__)

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_STACKS = (".mha", ".mhd")
_DICOM = (".dcm", ".dicom", ".ima")
_DEEP_MODES = ("I", "F")  # Pillow modes beyond 8 bits: I, I;16, I;16B, F


@dataclass(frozen=True)
class SourceImage:
    """One X-ray as its file has it; its pixels are the source pixels of every result."""

    image: np.ndarray  # (H, W) uint8, grey
    spacing: np.ndarray  # (2,) float64, mm per pixel along x and y; NaN where unknown
    file: Path
    slice: int | None  # from 1 in a file of several images, None in a file of one


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """Files as given, and for every folder the image files in and below it, sorted.

    Given files are not looked into: ``read_images`` says what is wrong with one. Raises ValueError for
    a folder without an image.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        images = [file for file in inside if _is_image(file)]
        if not images:
            known = " ".join((*_PICTURES, *_DICOM, *_STACKS))
            raise ValueError(
                f"{path}: no image in this folder ({len(inside)} other files), expected {known}."
            )
        if len(images) < len(inside):
            logger.info("%s: %d files that are no images left out", path, len(inside) - len(images))
        found += images
    return found


def _is_image(file: Path) -> bool:
    suffix = file.suffix.lower()
    return suffix in (*_PICTURES, *_STACKS, *_DICOM) or (not suffix and is_dicom(file))


def read_images(path: str | Path) -> Iterator[SourceImage]:
    """Every image of one file, one in memory at a time.

    Raises ValueError naming the file when it is missing, truncated or not an image.
    """
    file = Path(path)
    with _naming(file):
        if not file.is_file():
            raise ValueError("no such file. Check the path")
        if file.stat().st_size == 0:
            raise ValueError("an empty file. Copy it again")
        suffix = file.suffix.lower()
        if suffix in _STACKS:
            yield from _read_stack(file)
        elif suffix in _DICOM or is_dicom(file):
            frames, spacing = read_dicom(file)
            for number, frame in enumerate(frames, start=1):
                yield SourceImage(frame, spacing, file, number if len(frames) > 1 else None)
        else:
            yield from _read_pictures(file)


def read_grey(file: Path) -> np.ndarray:
    """(H, W) uint8 from a picture file of one image. Raises ValueError naming the file otherwise."""
    images = [source.image for source in read_images(file)]
    if len(images) != 1:
        raise ValueError(f"{file}: {len(images)} images, expected one.")
    return images[0]


def _read_stack(file: Path) -> Iterator[SourceImage]:
    stack = open_stack(file)
    for number, pixels in enumerate(stack.slices(), start=1):
        yield SourceImage(to_grey8(pixels), stack.spacing, file, number if stack.num_slices > 1 else None)


def _read_pictures(file: Path) -> Iterator[SourceImage]:
    with Image.open(file) as picture:
        pages = getattr(picture, "n_frames", 1)
        for number, page in enumerate(ImageSequence.Iterator(picture), start=1):
            # Pillow's own weights for grey; deep images keep their depth until they are windowed.
            pixels = np.asarray(page if page.mode.startswith(_DEEP_MODES) else page.convert("L"))
            yield SourceImage(to_grey8(pixels), np.full(2, np.nan), file, number if pages > 1 else None)


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Whatever a decoder raises becomes a ValueError that names ``file``."""
    try:
        yield
    except (
        Exception
    ) as error:  # decoders raise some twenty kinds, and a reader of many files goes on after each
        reason = str(error).removeprefix(f"{file}: ") or repr(error)
        raise ValueError(f"{file}: cannot be read as an X-ray image: {reason.rstrip('.')}.") from error

"""Any X-ray file that people have, as 8-bit grey images with their spacing.

PNG, JPEG, TIFF (several pages too) and other pictures, DICOM (several frames too) and MetaImage stacks, told
by their content. A stack is read slice by slice, so memory does not grow with its length. ``docs/files.md``
says what is read and what is refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.files.dicom_files import open_dicom
from datasets.files.grey import require_content, to_grey8
from datasets.files.kinds import READ_HERE, Kind, kind_by_suffix, kind_of
from datasets.files.mha_files import open_stack
from datasets.files.picture_files import deep_rgb, picture_pages, picture_resolutions, read_pictures
from datasets.files.resolution import common_spacing
from util.files import printable

_MAX_REASON = 300  # characters: what some libraries say fills a screen


@dataclass(frozen=True)
class SourceImage:
    """One X-ray as its file has it; its pixels are the source pixels of every result."""

    image: np.ndarray  # (H, W) uint8, grey
    spacing: np.ndarray  # (2,) float64, mm per pixel along x and y; NaN where unknown
    file: Path
    slice: int | None  # from 1 in a file of several images, None in a file of one
    spacing_source: str = "none"  # the tag, field or argument that says so
    patient_orientation: tuple[str, str] | None = None  # where rows and columns run (DICOM), such as A, F


def read_images(path: str | Path, spacing: Sequence[float] | None = None) -> Iterator[SourceImage]:
    """Every image of one file, one in memory at a time.

    ``spacing``: mm per pixel, one number or x and y, in place of what the file says. Raises ValueError naming
    the file when it is missing, truncated or not an image; an image of one grey value alone is refused when
    the others of its file have been given.
    """
    file = Path(path)
    with _naming(file):
        if file.is_dir():
            raise ValueError("a folder. Give a file in it")
        if not file.is_file():
            raise ValueError("no such file. Check the path")
        if file.stat().st_size == 0:
            raise ValueError("an empty file. Copy it again")
        content = _open(file, with_spacing=spacing is None)
        mm, source = content.spacing, content.spacing_source
        if spacing is not None:
            mm, source = np.resize(np.asarray(spacing, np.float64), 2), "--spacing"
        several = content.count > 1
        for number, image in _with_content(content.images, content.count):
            place = number if several else None
            yield SourceImage(image, mm, file, place, source, content.patient_orientation)


def count_images(path: str | Path) -> int:
    """How many images a file holds, by its header. Raises ValueError as ``read_images`` does."""
    file = Path(path)
    with _naming(file):
        return _open(file, with_spacing=False).count


def spacing_of(path: str | Path) -> np.ndarray:
    """(2,) mm per pixel along x and y as the file says, NaN where it does not; by its header.

    Raises ValueError as ``read_images`` does.
    """
    file = Path(path)
    with _naming(file):
        return _open(file, with_spacing=True).spacing


def read_grey(file: Path) -> np.ndarray:
    """(H, W) uint8 from a picture file of one image. Raises ValueError naming the file otherwise.

    The file is not asked for the size of its pixels, so none that is lacking refuses it.
    """
    images = [source.image for source in read_images(file, spacing=(np.nan, np.nan))]
    if len(images) != 1:
        raise ValueError(f"{file}: {len(images)} images, expected one.")
    return images[0]


def only_page(file: Path) -> int:
    """Which page of a picture file, from 0, is its one picture: reduced copies of it do not count.

    Raises ValueError naming the file, and where it holds several.
    """
    with _naming(file):
        pages = picture_pages(file)
        if len(pages) > 1:
            raise ValueError(f"{len(pages)} images, expected one. Save the one that is meant by itself")
        return 0 if pages[0] is None else pages[0].number


def read_deep_rgb(file: Path) -> np.ndarray | None:
    """(H, W, 3) uint8 of a picture whose colours have more than 8 bits, None for any other.

    All channels are stretched together, so hues stay. Raises ValueError naming the file.
    """
    with _naming(file):
        return deep_rgb(file)


@dataclass(frozen=True)
class _Content:
    """What a file holds, before its pixels are read."""

    images: Iterable[np.ndarray]  # (H, W) uint8 each
    count: int
    spacing: np.ndarray
    spacing_source: str
    patient_orientation: tuple[str, str] | None = None


def _open(file: Path, *, with_spacing: bool) -> _Content:
    """The images of ``file``, and its spacing unless that is given from elsewhere."""
    kind = kind_of(file)
    if kind is Kind.OTHER:
        kind = kind_by_suffix(file)
    unknown = np.full(2, np.nan), "none"
    if kind is Kind.DICOM:
        dicom = open_dicom(file)
        spacing = dicom.spacing() if with_spacing else unknown
        return _Content(dicom.frames(), dicom.num_frames, *spacing, dicom.patient_orientation)
    if kind is Kind.STACK:
        stack = open_stack(file)
        images = map(to_grey8, stack.slices())
        return _Content(images, stack.num_slices, stack.spacing, stack.spacing_source)
    if kind is Kind.PICTURE:
        pages = picture_pages(file)
        spacing = common_spacing(picture_resolutions(file, pages)) if with_spacing else unknown
        return _Content(read_pictures(file, pages), len(pages), *spacing)
    raise ValueError(f"its content is none of {READ_HERE}. Convert it")


def _with_content(images: Iterable[np.ndarray], count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each image with its number from 1; ValueError for those without content after the others."""
    empty = []
    for number, image in enumerate(images, start=1):
        try:
            yield number, require_content(image)
        except ValueError as error:
            if count == 1:
                raise
            empty.append(f"image {number}: {error}")
    if empty:
        raise ValueError("; ".join(empty[:3]) + (f"; and {len(empty) - 3} more" if len(empty) > 3 else ""))


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Whatever a decoder raises becomes a ValueError of one line that names ``file``."""
    try:
        yield
    except Exception as error:  # decoders raise some twenty kinds of exceptions
        reason = " ".join(str(error).removeprefix(f"{file}: ").split()) or repr(error)
        reason = reason if len(reason) <= _MAX_REASON else f"{reason[:_MAX_REASON]}..."
        raise ValueError(
            f"{printable(file)}: cannot be read as an X-ray image: {reason.rstrip('.')}."
        ) from error

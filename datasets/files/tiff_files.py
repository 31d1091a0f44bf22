"""The pages of a TIFF: which are pictures, and the pixels of those beyond 8 bits.

Pillow reads 8-bit pages, whatever their compression. Beyond, it garbles some without a word (big endian and
compressed with signs or fractions, 32 bits of which the highest is set) and knows no colour; tifffile, with
imagecodecs for what is compressed, reads what the tags say. It is imported where it is used.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.files.grey import to_grey8, to_rgb8
from datasets.files.resolution import CM_MM, INCH_MM, Resolution

if TYPE_CHECKING:
    import tifffile

MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # either byte order, and BigTIFF
_SUBFILE, _OLD_SUBFILE, _BITS, _MEANING, _TURN, _NUMBERS = 254, 255, 258, 262, 274, 339  # tags
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 282, 283, 296
_INCH = 2  # where a page says no unit (TIFF 6.0)
_UNITS_MM = {_INCH: INCH_MM, 3: CM_MM}  # by ResolutionUnit
_REDUCED_OR_MASK = 0b101  # bits of NewSubfileType (TIFF 6.0): a smaller copy, a transparency mask
_OLD_REDUCED = 2
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2  # photometric interpretations
_PLAIN_NUMBERS = (1, 4)  # SampleFormat: unsigned, untyped
_BY_PLANES = 2  # PlanarConfiguration: one channel after the other
LYING = 5  # the EXIF values from here on mean a quarter turn
_MAX_PAGES = 1 << 16

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is for us to say


@dataclass(frozen=True)
class TiffPage:
    """What the tags of one page say. ``is_deep``: its numbers are more than Pillow can be trusted with."""

    number: int  # from 0
    width: int
    height: int
    is_deep: bool
    resolution: Resolution


def tiff_pages(file: Path) -> list[TiffPage]:
    """The pages of ``file`` that are pictures of their own: no reduced copies and no masks.

    Raises ValueError where there is none.
    """
    from tifffile import TiffFile

    with TiffFile(file) as tiff:
        count = min(len(tiff.pages), _MAX_PAGES)
        pages = [_described(_page(tiff, number), number) for number in range(count)]
    found = [page for page in pages if page is not None]
    if not found:
        raise ValueError("every page is tagged as a reduced copy, expected the picture itself")
    return found


def read_deep(file: Path, number: int) -> np.ndarray:
    """(H, W) uint8 of page ``number``, upright. Raises ValueError for colours other than red, green, blue."""
    pixels, meaning = _deep_pixels(file, number)
    image = to_grey8(pixels)
    return 255 - image if meaning == _WHITE_IS_ZERO else image


def read_deep_rgb(file: Path, number: int) -> np.ndarray | None:
    """(H, W, 3) uint8 RGB of page ``number``, upright; None for a grey one. Raises ValueError likewise."""
    pixels, meaning = _deep_pixels(file, number)
    return to_rgb8(pixels) if meaning == _RGB else None


def _deep_pixels(file: Path, number: int) -> tuple[np.ndarray, int]:
    """(H, W[, C]) of any number type, upright, and what its values mean."""
    from tifffile import TiffFile

    with TiffFile(file) as tiff:
        page = _page(tiff, number)
        meaning, turn = _tag(page, _MEANING, _BLACK_IS_ZERO), _tag(page, _TURN, 1)
        if meaning not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
            raise ValueError(f"colours of kind {meaning} beyond 8 bits. Save it as 16-bit grey")
        if not all(page.databytecounts) or len(page.databytecounts) < len(page.dataoffsets):
            raise ValueError("strips of it are missing. Copy it again")
        pixels = page.asarray()
    if page.samplesperpixel > 1 and page.planarconfig == _BY_PLANES:
        pixels = np.moveaxis(pixels, 0, -1)
    return upright(pixels, turn), meaning


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turned as the EXIF value ``orientation`` says: 1 to 8, where the stored row 0 and column 0 lie."""
    if orientation >= LYING:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _page(tiff: tifffile.TiffFile, number: int) -> tifffile.TiffPage:
    from tifffile import TiffPage as Page

    page = tiff.pages[number]
    if not isinstance(page, Page):
        raise ValueError(f"page {number + 1} has no tags of its own. Export it again")
    return page


def _described(page: tifffile.TiffPage, number: int) -> TiffPage | None:
    """None for a page that is no picture of its own."""
    if _tag(page, _SUBFILE, 0) & _REDUCED_OR_MASK or _tag(page, _OLD_SUBFILE, 0) == _OLD_REDUCED:
        return None
    plain = page.bitspersample <= 8 and _tag(page, _NUMBERS, 1) in _PLAIN_NUMBERS
    stored = Resolution(
        "XResolution, YResolution",
        (_ratio(page, _X_RESOLUTION), _ratio(page, _Y_RESOLUTION)),
        _UNITS_MM.get(_tag(page, _UNIT, _INCH)),
    )
    return TiffPage(
        number,
        page.imagewidth,
        page.imagelength,
        is_deep=not plain,
        resolution=stored.turned() if _tag(page, _TURN, 1) >= LYING else stored,
    )


def _ratio(page: tifffile.TiffPage, code: int) -> float:
    """The value of a tag of a numerator and a denominator; NaN where it is missing or no such thing."""
    value = page.tags.valueof(code)
    pair = isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, int) for part in value)
    return value[0] / value[1] if pair and value[1] else float("nan")


def _tag(page: tifffile.TiffPage, code: int, otherwise: int) -> int:
    """The (first) value of a tag; ``otherwise`` where it is missing or no number."""
    value = page.tags.valueof(code, default=otherwise)
    first = value[0] if isinstance(value, tuple) and value else value
    return int(first) if isinstance(first, int) else otherwise

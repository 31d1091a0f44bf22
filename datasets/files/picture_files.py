"""PNG, JPEG, TIFF and other pictures as 8-bit grey images, upright and at their full depth.

Pillow reads them, from an open stream: from a name it maps uncompressed TIFFs into memory, and garbles those
that are stored lying. It knows no colour beyond 8 bits; OpenCV does.
"""

import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from datasets.files.grey import to_grey8

MAX_PIXELS = 1 << 29  # of one image: film scanners give 200 million
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "JPEG2000", "GIF", "WEBP", "PPM")
_DEEP_MODES = ("I", "F")  # Pillow modes beyond 8 bits: I, I;16, I;16B, F
_SUBFILE, _OLD_SUBFILE, _BITS, _MEANING = 254, 255, 258, 262  # TIFF tags
_REDUCED_OR_MASK = 0b101  # bits of NewSubfileType (TIFF 6.0): a smaller copy, a transparency mask
_OLD_REDUCED = 2
_WHITE_IS_ZERO = 0
_STRIP_ROWS = 1 << 10

# Pillow's table of layouts has 16-bit grey where white is zero in little endian alone.
TiffImagePlugin.OPEN_INFO.setdefault((b"MM", 0, (1,), 1, (16,), ()), ("I;16B", "I;16B"))
warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong is for us to say
Image.MAX_IMAGE_PIXELS = None  # its limit is meant for the web; ours is MAX_PIXELS


def picture_pages(file: Path) -> list[int]:
    """Numbers, from 0, of the pages that are pictures of their own: no previews and no reduced copies.

    Raises ValueError for an animation, and where there is none.
    """
    with file.open("rb") as stream, _opened(stream) as picture:
        count = getattr(picture, "n_frames", 1)
        if not isinstance(picture, TiffImagePlugin.TiffImageFile):
            if count > 1 and picture.format != "MPO":  # what follows in a phone's file are previews
                raise ValueError(f"an animation of {count} pictures, expected an X-ray. Export one picture")
            return [0]
        pages = []
        for number in range(count):
            picture.seek(number)
            if not _is_auxiliary(picture):
                pages.append(number)
    if not pages:
        raise ValueError("every page is tagged as a reduced copy, expected the picture itself")
    return pages


def read_pictures(file: Path, pages: Sequence[int]) -> Iterator[np.ndarray]:
    """The given pages of ``file``, (H, W) uint8 grey. Raises ValueError for more than MAX_PIXELS."""
    with file.open("rb") as stream, _opened(stream) as picture:
        for page in pages:
            picture.seek(page)
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise ValueError(f"{width}x{height} pixels, expected at most {MAX_PIXELS}. Make it smaller")
            if _is_deep_colour(picture):
                yield to_grey8(_deep_colour(stream, picture, page))
            else:
                yield _grey(picture)


def _opened(stream: BinaryIO) -> Image.Image:
    try:
        return Image.open(stream, formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise ValueError("its first bytes are those of no picture, is it whole? Copy it again") from error


def _is_auxiliary(page: TiffImagePlugin.TiffImageFile) -> bool:
    return (
        bool(page.tag_v2.get(_SUBFILE, 0) & _REDUCED_OR_MASK) or page.tag_v2.get(_OLD_SUBFILE) == _OLD_REDUCED
    )


def _grey(picture: Image.Image) -> np.ndarray:
    """(H, W) uint8 of a page at Pillow's own depth."""
    tags = getattr(picture, "tag_v2", {})
    white_is_zero = tags.get(_MEANING) == _WHITE_IS_ZERO
    upright = ImageOps.exif_transpose(picture) if _is_lying(picture) else picture
    upright.load()
    if not upright.mode.startswith(_DEEP_MODES):  # Pillow turns 8 bits over by itself
        return _luma(upright)
    image = to_grey8(np.asarray(upright))
    return 255 - image if white_is_zero else image


def _is_lying(picture: Image.Image) -> bool:
    """Whether a tag says so. Pillow turns TIFFs by itself, and then removes theirs."""
    picture.load()
    return picture.getexif().get(0x0112, 1) != 1


def _luma(picture: Image.Image) -> np.ndarray:
    """(H, W) uint8 by Pillow's own weights, in strips: a film scan needs no second copy in colour."""
    if picture.mode == "L":
        return np.array(picture)
    width, height = picture.size
    image = np.empty((height, width), np.uint8)
    for top in range(0, height, _STRIP_ROWS):
        strip = picture.crop((0, top, width, min(top + _STRIP_ROWS, height)))
        image[top : top + _STRIP_ROWS] = np.asarray(strip.convert("L"))
    return image


def _is_deep_colour(picture: Image.Image) -> bool:
    """Whether channels beyond 8 bits come with colour or alpha, of which Pillow keeps 8."""
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        bits = picture.tag_v2.get(_BITS, (1,))
        return len(bits) > 1 and max(bits) > 8
    tile = getattr(picture, "tile", ())
    rawmode = str(tile[0].args) if picture.format == "PNG" and tile else ""
    return rawmode.endswith(";16B") and not rawmode.startswith("I")


def _deep_colour(stream: BinaryIO, picture: Image.Image, page: int) -> np.ndarray:
    """(H, W, C) uint16 of page ``page``, upright, red first."""
    turn = picture.getexif().get(0x0112, 1)
    place = stream.tell()
    stream.seek(0)
    data = stream.read()
    stream.seek(place)
    if picture.format == "PNG":
        _require_whole_png(data)
    else:
        picture.load()  # OpenCV fills up what is missing without a word; Pillow says so
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    buffer = np.frombuffer(data, np.uint8)
    if page:
        ok, found = cv2.imdecodemulti(buffer, flags, range=(page, page + 1))
        pixels = found[0] if ok and found else None
    else:
        pixels = cv2.imdecode(buffer, flags)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("its colours beyond 8 bits cannot be decoded. Save it as 16-bit grey")
    return _upright(np.ascontiguousarray(pixels[..., 2::-1]), turn)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turned as the EXIF value ``orientation`` says: 1 to 8, where the stored row 0 and column 0 lie."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _require_whole_png(data: bytes) -> None:
    """Raise ValueError unless every chunk is whole and of its checksum: OpenCV does not look."""
    at, view = 8, memoryview(data)
    while True:
        length = int.from_bytes(view[at : at + 4], "big")
        name, end = bytes(view[at + 4 : at + 8]), at + 8 + length
        if end + 4 > len(data) or zlib.crc32(view[at + 4 : end]) != int.from_bytes(
            view[end : end + 4], "big"
        ):
            raise ValueError("the PNG file is damaged or ends early. Copy it again")
        if name == b"IEND":
            return
        at = end + 4

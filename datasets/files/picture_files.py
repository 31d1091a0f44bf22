"""PNG, JPEG, TIFF and other pictures as 8-bit grey images, upright and at their full depth.

Pillow reads them, from an open stream: from a name it maps uncompressed TIFFs into memory, and garbles those
that are stored lying. Beyond 8 bits it knows no colour; OpenCV and imagecodecs do, and TIFFs are read by
``datasets.files.tiff_files``.
"""

import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from datasets.files.grey import to_grey8, to_rgb8
from datasets.files.resolution import CM_MM, INCH_MM, Resolution
from datasets.files.tiff_files import (
    LYING,
    MARKS,
    TiffPage,
    read_deep,
    read_deep_rgb,
    tiff_pages,
    upright,
)

MAX_PIXELS = 1 << 29  # of one image: film scanners give 200 million
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "JPEG2000", "GIF", "WEBP", "PPM")
_DEEP_MODES = ("I", "F")  # Pillow modes beyond 8 bits: I, I;16, I;16B, F
_STRIP_ROWS = 1 << 10
_JFIF_UNITS_MM = {1: INCH_MM, 2: CM_MM}  # by its byte of units; 0 says only how oblong pixels are
_PER_METRE = {"PNG": "pHYs", "BMP": "PelsPerMeter", "JPEG2000": "capture resolution"}  # fields by format
_CODESTREAM = b"\xff\x4f\xff\x51"  # JPEG 2000: start, and the marker that says sizes
_DEPTH_AT = 42  # bytes from there to the depth of the first channel, less one

warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong is for us to say
Image.MAX_IMAGE_PIXELS = None  # its limit is meant for the web; ours is MAX_PIXELS

Pages = Sequence[TiffPage | None]  # None: the one picture of a file of any other kind


def picture_pages(file: Path) -> Pages:
    """The pages of ``file`` that are pictures of their own: no previews and no reduced copies.

    Raises ValueError for an animation, and where there is none.
    """
    with file.open("rb") as stream:
        if stream.read(4) in MARKS:
            return tiff_pages(file)
        with _opened(stream) as picture:
            count = getattr(picture, "n_frames", 1)
            if count > 1 and picture.format != "MPO":  # what follows in a phone's file are previews
                raise ValueError(f"an animation of {count} pictures, expected an X-ray. Export one picture")
            return [None]


def picture_resolutions(file: Path, pages: Pages) -> list[Resolution]:
    """What ``file`` says of the pixels of each of the given pages, upright."""
    return [_upright_resolution(file) if page is None else page.resolution for page in pages]


def read_pictures(file: Path, pages: Pages) -> Iterator[np.ndarray]:
    """The given pages of ``file``, (H, W) uint8 grey. Raises ValueError for more than MAX_PIXELS."""
    for page in pages:
        if page is not None and page.is_deep:
            _require_size(page.width, page.height)
            yield read_deep(file, page.number)
            continue
        with file.open("rb") as stream, _opened(stream) as picture:
            picture.seek(0 if page is None else page.number)
            _require_size(*picture.size)
            is_deep = _is_deep_colour(stream, picture)
            yield to_grey8(_deep_colour(stream, picture)) if is_deep else _grey(picture)


def deep_rgb(file: Path) -> np.ndarray | None:
    """(H, W, 3) uint8 of the first picture of ``file`` where its colours have more than 8 bits; else None.

    Raises ValueError for more than MAX_PIXELS.
    """
    page = picture_pages(file)[0]
    if page is not None:
        _require_size(page.width, page.height)
        return read_deep_rgb(file, page.number) if page.is_deep else None
    with file.open("rb") as stream, _opened(stream) as picture:
        _require_size(*picture.size)
        return to_rgb8(_deep_colour(stream, picture)) if _is_deep_colour(stream, picture) else None


def _upright_resolution(file: Path) -> Resolution:
    """Only where pixels are oblong does it matter how the picture lies: that may take reading all of it."""
    with file.open("rb") as stream, _opened(stream) as picture:
        stored = _stored_resolution(picture)
        if not stored.is_oblong:
            return stored
        _require_size(*picture.size)
        return stored.turned() if _turn(picture) >= LYING else stored


def _stored_resolution(picture: Image.Image) -> Resolution:
    """The density of JPEG's JFIF header, or what others say a metre, which Pillow turns to inches."""
    info = picture.info
    if "jfif_density" in info:
        return Resolution("JFIF density", info["jfif_density"], _JFIF_UNITS_MM.get(info["jfif_unit"]))
    if picture.format in _PER_METRE and "dpi" in info:
        return Resolution(_PER_METRE[picture.format], info["dpi"], INCH_MM)
    if picture.format == "PNG" and "aspect" in info:
        return Resolution("pHYs", info["aspect"], None)
    return Resolution("none", (np.nan, np.nan), None)


def _require_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width}x{height} pixels, expected at most {MAX_PIXELS}. Make it smaller")


def _opened(stream: BinaryIO) -> Image.Image:
    stream.seek(0)
    try:
        return Image.open(stream, formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise ValueError("its first bytes are those of no picture, is it whole? Copy it again") from error


def _grey(picture: Image.Image) -> np.ndarray:
    """(H, W) uint8 of a picture at Pillow's own depth."""
    turned = ImageOps.exif_transpose(picture) if _turn(picture) != 1 else picture
    turned.load()
    return to_grey8(np.asarray(turned)) if turned.mode.startswith(_DEEP_MODES) else _luma(turned)


def _turn(picture: Image.Image) -> int:
    """The EXIF value that says how ``picture`` lies. Pillow turns TIFFs by itself, and then removes theirs.

    A PNG may say it behind its pixels, so they are read first.
    """
    picture.load()
    return picture.getexif().get(0x0112, 1)


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


def _is_deep_colour(stream: BinaryIO, picture: Image.Image) -> bool:
    """Whether channels beyond 8 bits come with colour or alpha, of which Pillow keeps 8."""
    tile = getattr(picture, "tile", ())
    how: object = tile[0].args if tile else ()
    if picture.format == "PNG":
        return str(how).endswith(";16B") and not str(how).startswith("I")
    if picture.format == "PPM":
        return picture.mode == "RGB" and isinstance(how, tuple) and max(how[1:], default=255) > 255
    if picture.format != "JPEG2000" or picture.mode.startswith(_DEEP_MODES):
        return False
    place = stream.tell()
    stream.seek(0)
    data = stream.read()
    stream.seek(place)
    at = data.find(_CODESTREAM) + _DEPTH_AT
    return at < len(data) and (data[at] & 0x7F) + 1 > 8


def _deep_colour(stream: BinaryIO, picture: Image.Image) -> np.ndarray:
    """(H, W, C), upright, red first."""
    turn = _turn(picture)  # and Pillow says so where anything is missing
    stream.seek(0)
    data = stream.read()
    if picture.format == "JPEG2000":
        from imagecodecs import jpeg2k_decode

        return jpeg2k_decode(data)
    if picture.format == "PNG":
        _require_whole_png(data)
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("its colours beyond 8 bits cannot be decoded. Save it as 16-bit grey")
    return upright(np.ascontiguousarray(pixels[..., 2::-1]), turn)


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

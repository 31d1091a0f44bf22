"""Pictures that may be in colour: photographs of blood cells as well as X-rays."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from datasets.files.image_files import only_page, read_deep_rgb, read_grey

_COLOUR_MODES = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa")
_GREY_SPREAD = 2.0  # mean difference of the channels, below which a picture is grey for all that it shows


def read_picture(file: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a colour picture, (H, W) uint8 grey of any other file of one image.

    size: (width, height) that annotations state. A picture is turned as its EXIF orientation says, as
    viewers show it, unless only the pixels as stored are of that size. Colours of more than 8 bits are
    always turned, and stretched as grey values are. Raises ValueError naming the file when it cannot be read
    or holds several pictures.
    """
    try:
        with file.open("rb") as stream, Image.open(stream) as picture:  # a name: TIFFs stored lying garbled
            if picture.format == "TIFF":
                picture.seek(only_page(file))
            if picture.mode == "L":
                return np.asarray(_oriented(picture, size))
            if picture.mode in _COLOUR_MODES:
                deep = read_deep_rgb(file)
                return np.asarray(_oriented(picture, size).convert("RGB")) if deep is None else deep
    except Image.UnidentifiedImageError:
        pass  # DICOM, MetaImage: not for Pillow
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{file}: cannot be read ({reason}). Copy it again, or check the path.") from error
    return read_grey(file)


def picture_size(file: Path) -> tuple[int, int]:
    """(width, height) as ``read_picture`` gives it, from the header alone where that will do."""
    try:
        with Image.open(file) as picture:
            turned = picture.getexif().get(0x0112, 1) >= 5
            if picture.format != "TIFF":  # Pillow turns those as it reads them
                return (picture.height, picture.width) if turned else picture.size
    except OSError:
        pass  # no picture that Pillow knows, or none at all: the reader says what is wrong
    return read_picture(file).shape[1::-1]


def shows_colour(image: np.ndarray) -> bool:
    """Whether an image (H, W[, 3]) is more than a grey one stored as RGB."""
    if image.ndim == 2:
        return False
    return float((image.max(-1).astype(np.int16) - image.min(-1)).mean()) > _GREY_SPREAD


def as_grey(image: np.ndarray) -> np.ndarray:
    """(H, W) uint8; equal channels keep their value."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def as_colour(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB; grey three times."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def _oriented(picture: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    turned = ImageOps.exif_transpose(picture)
    return picture if size is not None and turned.size != size and picture.size == size else turned

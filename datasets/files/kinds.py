"""What a file is, by its content: names and suffixes of X-ray files say little."""

from enum import Enum, auto
from pathlib import Path, PurePath

_HEAD_BYTES = 4096
_PICTURE_MARKS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # JPEG, MPO
    b"II*\0",  # TIFF, either byte order, and BigTIFF
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\0\0\0\x0cjP  \r\n\x87\n",  # JPEG 2000, in its container and bare
    b"\xff\x4f\xff\x51",
    b"GIF87a",
    b"GIF89a",
)
_BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)
_FIRST_GROUPS = (0x0002, 0x0004, 0x0008)  # of a DICOM file without preamble: meta, directory, identification
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".jp2", ".gif", ".webp", ".pgm", ".ppm")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
STACK_SUFFIXES = (".mha", ".mhd")
IMAGE_SUFFIXES = (*PICTURE_SUFFIXES, *DICOM_SUFFIXES, *STACK_SUFFIXES)
READ_HERE = "PNG, JPEG, BMP, TIFF, JPEG 2000, GIF, WebP, PNM, DICOM or MetaImage"


class Kind(Enum):
    """Which reader a file is for."""

    PICTURE = auto()
    DICOM = auto()
    STACK = auto()
    OTHER = auto()


def kind_of(file: Path) -> Kind:
    """What the first bytes of ``file`` say; OSError where it cannot be read."""
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if head[128:132] == b"DICM":
        return Kind.DICOM
    if _is_picture(head):
        return Kind.PICTURE
    if _is_meta_image(head):
        return Kind.STACK
    return Kind.DICOM if _is_bare_dicom(head) else Kind.OTHER


def kind_by_suffix(file: Path) -> Kind:
    """What the name of ``file`` says, for a file whose content says nothing."""
    suffix = file.suffix.lower()
    kinds = {Kind.PICTURE: PICTURE_SUFFIXES, Kind.DICOM: DICOM_SUFFIXES, Kind.STACK: STACK_SUFFIXES}
    return next((kind for kind, suffixes in kinds.items() if suffix in suffixes), Kind.OTHER)


def stem_of(file: str | PurePath) -> str:
    """The name of ``file`` without its suffix. The last figures of a DICOM UID, 1.2.840.113, are none."""
    path = PurePath(file)
    return path.name if path.suffix[1:].isdigit() else path.stem


def _is_picture(head: bytes) -> bool:
    if head.startswith(_PICTURE_MARKS) or (head.startswith(b"RIFF") and head[8:12] == b"WEBP"):
        return True
    if head.startswith(b"BM"):
        return int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES
    return len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n"


def _is_meta_image(head: bytes) -> bool:
    """A MetaImage begins with lines ``Key = value``, and says its number of dimensions."""
    first = head.lstrip().partition(b"=")[0].strip()
    return first.isalpha() and first.isascii() and b"NDims" in head and b"=" in head


def _is_bare_dicom(head: bytes) -> bool:
    """DICOM that begins with its first element: (gggg,eeee), then a VR of two letters or a length."""
    for order in ("little", "big"):
        group, element = (int.from_bytes(head[at : at + 2], order) for at in (0, 2))
        if group not in _FIRST_GROUPS or element > 0x0100:
            continue
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        length = int.from_bytes(head[4:8], order)
        if explicit or (order == "little" and 0 < length <= _HEAD_BYTES and len(head) > 8 + length):
            return True
    return False

"""MetaImage (.mha, .mhd) stacks, one slice in memory at a time.

The usual layouts are read here, slice by slice, compressed ones in one pass. What the header says beyond
them (a list of files, a header to skip, text values) is left to SimpleITK, which makes a plain copy of it.
"""

import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from datasets.files.mha_by_simpleitk import made_plain, require_whole

_TYPES = {
    "MET_UCHAR": "u1",
    "MET_CHAR": "i1",
    "MET_USHORT": "u2",
    "MET_SHORT": "i2",
    "MET_UINT": "u4",
    "MET_INT": "i4",
    "MET_ULONG": "u4",  # four bytes in MetaIO, whatever the machine
    "MET_LONG": "i4",
    "MET_ULONG_LONG": "u8",
    "MET_LONG_LONG": "i8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_MAX_HEADER_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20
_SPACING_FIELDS = ("ElementSpacing", "ElementSize")  # MetaIO takes the second where the first is absent


@dataclass(frozen=True)
class Stack:
    """What the header of a MetaImage file says."""

    file: Path
    width: int
    height: int
    num_slices: int
    channels: int
    dtype: np.dtype
    spacing: np.ndarray  # (2,) mm per pixel along x and y; NaN where the file does not know
    spacing_source: str  # the field that says so, or none
    compressed: bool
    data_file: Path  # the file itself, or the one that a .mhd names
    data_offset: int  # bytes
    kept: object = None  # what must live as long as the stack

    @property
    def slice_bytes(self) -> int:
        return self.width * self.height * self.channels * self.dtype.itemsize

    def slices(self) -> Iterator[np.ndarray]:
        """Every slice in order, (H, W) or (H, W, C). Raises ValueError when the file ends early."""
        return _inflated_slices(self) if self.compressed else _raw_slices(self)


def open_stack(file: Path) -> Stack:
    """Read the header alone. Raises ValueError when it is not a 2D or 3D MetaImage."""
    fields, offset = _read_header(file)
    spacing, source = _spacing(file, fields)
    if not _is_usual(fields):
        return _opened_by_simpleitk(file, fields, spacing, source)
    try:
        dims = [int(text) for text in fields["DimSize"].split()]
        dtype = np.dtype(_TYPES[fields["ElementType"]])
        channels = int(fields.get("ElementNumberOfChannels", "1"))
        where = fields["ElementDataFile"]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file}: header field {error} missing or unknown, expected a MetaImage.") from error
    if len(dims) not in (2, 3) or min(dims) < 1 or channels < 1:
        raise ValueError(f"{file}: {channels} channels of size {dims}, expected width, height and slices.")
    local = where.upper() == "LOCAL"
    big_endian = _is_true(fields, "BinaryDataByteOrderMSB") or _is_true(fields, "ElementByteOrderMSB")
    data_file = file if local else file.parent / where
    if not data_file.is_file():
        raise ValueError(
            f"{file}: names the data file {where!r}, which is not there. Put it beside the header."
        )
    return Stack(
        file=file,
        width=dims[0],
        height=dims[1],
        num_slices=dims[2] if len(dims) == 3 else 1,
        channels=channels,
        dtype=dtype.newbyteorder(">" if big_endian else "<"),
        spacing=spacing,
        spacing_source=source,
        compressed=_is_true(fields, "CompressedData"),
        data_file=data_file,
        data_offset=offset if local else 0,
    )


def data_files(file: Path) -> list[Path]:
    """The files beside the header ``file`` that hold its pixels; none where it holds them itself."""
    fields, end = _read_header(file)
    where = fields["ElementDataFile"]
    if where.upper() == "LOCAL":
        return []
    if where.upper() != "LIST":
        names = [where.split()[0], where]
    else:
        with file.open("rb") as stream:
            stream.seek(end)
            names = stream.read(_MAX_HEADER_BYTES).decode("latin-1").splitlines()
    return [file.parent / name.strip() for name in names if name.strip()]


def _is_true(fields: dict[str, str], key: str) -> bool:
    """As MetaIO has it: True, true, T, 1."""
    return fields.get(key, "False")[:1] in ("T", "t", "1")


def _is_usual(fields: dict[str, str]) -> bool:
    """Whether the pixels are one block of binary numbers behind the header or in one other file."""
    where = fields.get("ElementDataFile", "")
    return (
        where.upper().split(" ")[0] != "LIST"
        and "%" not in where
        and fields.get("HeaderSize", "0") == "0"
        and _is_true({"BinaryData": "True"} | fields, "BinaryData")
        and fields.get("ElementType") in _TYPES
        and fields.get("NDims", "2") in ("2", "3")
    )


def _spacing(file: Path, fields: dict[str, str]) -> tuple[np.ndarray, str]:
    """(2,) mm per pixel, and the field that says so. Raises ValueError for what cannot be a spacing."""
    field = next((name for name in _SPACING_FIELDS if name in fields), None)
    if field is None:
        return np.full(2, np.nan), "none"
    try:
        spacing = np.array([float(text) for text in fields[field].split()][:2])
    except ValueError:
        spacing = np.array([np.nan])
    if len(spacing) != 2 or not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise ValueError(f"{file}: {field} {fields[field]!r}, expected mm per pixel above 0.")
    if (spacing == 1.0).all():  # what writers put that know none; no X-ray detector has pixels of 1 mm
        return np.full(2, np.nan), "none"
    return spacing, field


def _read_header(file: Path) -> tuple[dict[str, str], int]:
    """Fields of the text header, and the byte at which it ends (ElementDataFile is its last line)."""
    fields: dict[str, str] = {}
    try:
        with file.open("rb") as stream:
            while "ElementDataFile" not in fields and stream.tell() < _MAX_HEADER_BYTES:
                key, separator, value = stream.readline(_MAX_HEADER_BYTES).decode("latin-1").partition("=")
                if not separator:
                    raise ValueError(f"{file}: not a MetaImage file, its header breaks off at {key[:40]!r}.")
                fields[key.strip()] = value.strip()
            return fields, stream.tell()
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror}).") from error


def _opened_by_simpleitk(file: Path, fields: dict[str, str], spacing: np.ndarray, source: str) -> Stack:
    folder = tempfile.TemporaryDirectory()
    parts = data_files(file)
    stack = open_stack(made_plain(file, parts, Path(folder.name)))
    if fields["ElementDataFile"].upper().startswith("LIST"):
        require_whole(file, parts, stack.num_slices * stack.slice_bytes)
    return replace(stack, file=file, spacing=spacing, spacing_source=source, kept=folder)


def _raw_slices(stack: Stack) -> Iterator[np.ndarray]:
    expected = stack.data_offset + stack.num_slices * stack.slice_bytes
    if (size := stack.data_file.stat().st_size) < expected:
        raise ValueError(
            f"{stack.data_file}: {size} bytes, expected {expected}. Copy or download the file again."
        )
    with stack.data_file.open("rb") as stream:
        stream.seek(stack.data_offset)
        for index in range(stack.num_slices):
            data = stream.read(stack.slice_bytes)
            if len(data) < stack.slice_bytes:
                raise ValueError(f"{stack.file}: slice {index + 1} is cut short. Copy the file again.")
            yield _as_slice(data, stack)


def _as_slice(data: bytes | bytearray, stack: Stack) -> np.ndarray:
    """(H, W) or (H, W, C) in the machine's own byte order."""
    shape = (stack.height, stack.width, stack.channels)[: 2 if stack.channels == 1 else 3]
    values = np.frombuffer(data, stack.dtype).reshape(shape)
    return values.astype(stack.dtype.newbyteorder("="), copy=False)


def _inflated_slices(stack: Stack) -> Iterator[np.ndarray]:
    inflate = zlib.decompressobj(wbits=47)  # 32 + 15: zlib or gzip, whichever the file has
    with stack.data_file.open("rb") as stream:
        stream.seek(stack.data_offset)
        for index in range(stack.num_slices):
            try:
                data = _take(inflate, stream, stack.slice_bytes)
            except (zlib.error, EOFError) as error:
                raise ValueError(
                    f"{stack.file}: slice {index + 1} cannot be decompressed ({error}). "
                    "Copy or download the file again."
                ) from error
            yield _as_slice(data, stack)


def _take(inflate: "zlib._Decompress", stream: BinaryIO, size: int) -> bytearray:
    """The next ``size`` decompressed bytes. Raises EOFError when the file has no more."""
    taken = bytearray()
    while len(taken) < size:
        chunk = inflate.unconsumed_tail or stream.read(_CHUNK_BYTES)
        piece = inflate.decompress(chunk, size - len(taken))
        if not piece and not chunk:
            raise EOFError("the file ends early")
        taken += piece
    return taken

"""MetaImage (.mha, .mhd) stacks, one slice in memory at a time.

SimpleITK reads regions of an uncompressed file; of a compressed one it decompresses everything before
the region, each time, so those are decompressed here once, in order.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

_TYPES = {
    "MET_UCHAR": "u1",
    "MET_CHAR": "i1",
    "MET_USHORT": "u2",
    "MET_SHORT": "i2",
    "MET_UINT": "u4",
    "MET_INT": "i4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_MAX_HEADER_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20


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
    compressed: bool
    data_file: Path  # the file itself, or the one that a .mhd names
    data_offset: int  # bytes

    @property
    def slice_bytes(self) -> int:
        return self.width * self.height * self.channels * self.dtype.itemsize

    def slices(self) -> Iterator[np.ndarray]:
        """Every slice in order, (H, W) or (H, W, C). Raises ValueError when the file ends early."""
        return _inflated_slices(self) if self.compressed else _region_slices(self)


def open_stack(file: Path) -> Stack:
    """Read the header alone. Raises ValueError when it is not a 2D or 3D MetaImage."""
    fields, offset = _read_header(file)
    try:
        dims = [int(text) for text in fields["DimSize"].split()]
        dtype = np.dtype(_TYPES[fields["ElementType"]])
        where = fields["ElementDataFile"]
        channels = int(fields.get("ElementNumberOfChannels", "1"))
        spacing = np.array([float(text) for text in fields.get("ElementSpacing", "1 1").split()][:2])
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file}: header field {error} missing or unknown, expected a MetaImage.") from error
    if len(dims) not in (2, 3) or min(dims) < 1 or channels < 1:
        raise ValueError(f"{file}: {channels} channels of size {dims}, expected width, height and slices.")
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise ValueError(f"{file}: ElementSpacing {spacing.tolist()}, expected mm per pixel above 0.")
    local = where.upper() == "LOCAL"
    big_endian = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")) == "True"
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
        # Writers that know no spacing put 1; no X-ray detector has pixels of 1 mm.
        spacing=np.full(2, np.nan) if len(spacing) != 2 or (spacing == 1.0).all() else spacing,
        compressed=fields.get("CompressedData", "False") == "True",
        data_file=data_file,
        data_offset=offset if local else 0,
    )


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


def _region_slices(stack: Stack) -> Iterator[np.ndarray]:
    import SimpleITK as sitk

    expected = stack.data_offset + stack.num_slices * stack.slice_bytes
    if (size := stack.data_file.stat().st_size) < expected:
        raise ValueError(
            f"{stack.data_file}: {size} bytes, expected {expected}. Copy or download the file again."
        )
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(stack.file))
    for index in range(stack.num_slices):
        try:
            reader.ReadImageInformation()
            flat = reader.GetDimension() == 2
            reader.SetExtractIndex([0, 0] if flat else [0, 0, index])
            reader.SetExtractSize([stack.width, stack.height] if flat else [stack.width, stack.height, 0])
            image = reader.Execute()
        except RuntimeError as error:
            raise ValueError(
                f"{stack.file}: slice {index + 1} cannot be read, is the file whole? ({error})"
            ) from error
        yield sitk.GetArrayFromImage(image)


def _inflated_slices(stack: Stack) -> Iterator[np.ndarray]:
    shape = (
        (stack.height, stack.width) if stack.channels == 1 else (stack.height, stack.width, stack.channels)
    )
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
            yield (
                np.frombuffer(data, stack.dtype)
                .reshape(shape)
                .astype(stack.dtype.newbyteorder("="), copy=False)
            )


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

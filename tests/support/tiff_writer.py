"""TIFFs by hand, of any number type, byte order, plane order and tags: what libraries read is not theirs."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

_SHORT, _LONG, _RATIONAL = 3, 4, 5
_LETTERS = {_SHORT: "H", _LONG: "I", _RATIONAL: "II"}
_NUMBERS = {"u": 1, "i": 2, "f": 3}  # SampleFormat by numpy's kind
_BODY_AT = 8  # bytes of the header


def write_tiff(
    file: Path,
    pixels: np.ndarray,
    order: str = "<",
    *,
    deflated: bool = False,
    meaning: int = 1,
    by_planes: bool = False,
    rows_a_strip: int | None = None,
    packed_bits: int | None = None,
    tags: Mapping[int, int | tuple[int, int]] | None = None,
) -> None:
    """(H, W[, C]) ``pixels``; ``meaning``: PhotometricInterpretation; ``packed_bits``: fewer than of a byte.

    ``order``: ``<`` or ``>``. ``tags``: further ones of one short each, or of a numerator and a denominator.
    """
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    planes = [stored[..., number] for number in range(channels)] if by_planes else [stored]
    rows = rows_a_strip or height
    strips = [
        _bytes(plane[top : top + rows], packed_bits) for plane in planes for top in range(0, height, rows)
    ]
    if deflated:
        strips = [zlib.compress(strip) for strip in strips]
    body, places = b"", []
    for strip in strips:
        places.append(_BODY_AT + len(body))
        body += strip + bytes(len(strip) % 2)
    bits = packed_bits or 8 * pixels.dtype.itemsize
    entries: dict[int, tuple[int, Sequence[int]]] = {
        256: (_LONG, [width]),
        257: (_LONG, [height]),
        258: (_SHORT, [bits] * channels),
        259: (_SHORT, [8 if deflated else 1]),
        262: (_SHORT, [meaning]),
        273: (_LONG, places),
        277: (_SHORT, [channels]),
        278: (_LONG, [rows]),
        279: (_LONG, [len(strip) for strip in strips]),
        284: (_SHORT, [2 if by_planes else 1]),
        339: (_SHORT, [_NUMBERS[pixels.dtype.kind]] * channels),
    }
    for tag, value in (tags or {}).items():
        entries[tag] = (_SHORT, [value]) if isinstance(value, int) else (_RATIONAL, value)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}I", _BODY_AT + len(body))
    file.write_bytes(head + body + _directory(entries, _BODY_AT + len(body), order))


def _bytes(rows: np.ndarray, packed_bits: int | None) -> bytes:
    if packed_bits is None:
        return np.ascontiguousarray(rows).tobytes()
    bits = np.unpackbits(rows.astype(">u2").view(np.uint8).reshape(*rows.shape, 2), axis=-1)
    return np.packbits(bits[..., 16 - packed_bits :].reshape(len(rows), -1), axis=1).tobytes()


def _directory(entries: Mapping[int, tuple[int, Sequence[int]]], at: int, order: str) -> bytes:
    tail_at, tail, lines = at + 2 + 12 * len(entries) + 4, b"", b""
    for tag, (kind, values) in sorted(entries.items()):
        count = len(values) // len(_LETTERS[kind])
        data = struct.pack(order + count * _LETTERS[kind], *values)
        lines += struct.pack(f"{order}HHI", tag, kind, count)
        lines += data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(f"{order}I", tail_at + len(tail))
        tail += data if len(data) > 4 else b""
    return struct.pack(f"{order}H", len(entries)) + lines + bytes(4) + tail

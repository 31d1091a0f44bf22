"""The table of ``docs/files.md``: every row is a real file, written, read, and compared with its picture.

    python -m tests.support.files_table

writes it anew; ``tests/test_files_table.py`` checks that the text says what happens.
"""

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
import SimpleITK as sitk
from PIL import Image, TiffImagePlugin
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from datasets.files.image_files import read_images
from tests.support.tiff_writer import write_tiff
from tests.support.xray_files import ORIENTATIONS, alike, deep, dicom_dataset, picture, write_dicom_by_itk
from util.benchmark.marked_text import write_marked

DOCUMENT = Path(__file__).parents[2] / "docs" / "files.md"
NAME = "files"
SHOWN = picture()
RGB16 = np.dstack([deep(SHOWN)] * 3)
HEADER = ("Format", "Depth", "Compression", "Orientation", "Spacing from", "Result", "By")

Write = Callable[[Path, np.ndarray], object]  # writes a stored (H, W) uint8 picture


@dataclass(frozen=True)
class Row:
    """One kind of file. ``by``: the library that decodes it. ``tagged``: writes it lying, with a tag."""

    format: str
    depth: str
    compression: str
    suffix: str
    write: Write
    by: str
    tagged: Write | None = None


def rows() -> list[Row]:
    return [
        Row("PNG", "8-bit grey", "deflate", ".png", _pillow("PNG"), "Pillow", _pillow("PNG", lying=True)),
        Row(
            "PNG",
            "16-bit grey",
            "deflate",
            ".png",
            _pillow("PNG", bits=16),
            "Pillow",
            _pillow("PNG", 16, True),
        ),
        Row("PNG", "16-bit RGB", "deflate", ".png", _opencv(3), "OpenCV"),
        Row("PNG", "16-bit RGB and alpha", "deflate", ".png", _opencv(4), "OpenCV"),
        Row("PNG", "16-bit grey and alpha", "deflate", ".png", _grey_and_alpha, "OpenCV"),
        Row("JPEG", "8-bit", "baseline", ".jpg", _pillow("JPEG"), "Pillow", _pillow("JPEG", lying=True)),
        Row("JPEG of a phone (MPO)", "8-bit", "baseline", ".jpg", _phone, "Pillow, without previews"),
        Row("PNG, oblong pixels", "8-bit grey", "deflate", ".png", _oblong_pillow, "Pillow"),
        Row("JPEG, oblong pixels", "8-bit", "baseline", ".jpg", _oblong_pillow, "Pillow"),
        Row("BMP", "8-bit", "none", ".bmp", _pillow("BMP"), "Pillow"),
        Row("TIFF", "8-bit grey", "none", ".tif", _pillow("TIFF"), "Pillow", _pillow("TIFF", lying=True)),
        Row("TIFF", "16-bit grey", "LZW", ".tif", _lzw, "tifffile"),
        Row("TIFF", "16-bit, white is zero", "none", ".tif", _white_is_zero, "tifffile"),
        Row("TIFF", "16-bit RGB", "LZW", ".tif", _opencv(3), "tifffile"),
        Row("TIFF", "16-bit RGB", "none", ".tif", _tiff(3), "tifffile", _tiff(3, lying=True)),
        Row("TIFF", "16-bit RGB, in planes", "deflate", ".tif", _tiff(3, by_planes=True), "tifffile"),
        Row("TIFF", "16-bit grey and alpha", "deflate", ".tif", _tiff(2), "tifffile"),
        Row("TIFF", "12-bit grey, packed", "none", ".tif", _tiff(1, packed_bits=12), "tifffile"),
        Row("TIFF, big endian", "32-bit, signed", "deflate", ".tif", _tiff_of(">i4"), "tifffile"),
        Row("TIFF, big endian", "32-bit fractions", "deflate", ".tif", _tiff_of(">f4"), "tifffile"),
        Row("TIFF", "64-bit fractions", "deflate", ".tif", _tiff_of("<f8"), "tifffile"),
        Row("TIFF, oblong pixels", "8-bit grey", "none", ".tif", _oblong, "Pillow"),
        Row("TIFF of pages and reduced copies", "8-bit", "none", ".tif", _pages, "Pillow, without copies"),
        Row("JPEG 2000", "8-bit", "lossless", ".jp2", _pillow("JPEG2000"), "Pillow"),
        Row("JPEG 2000", "16-bit RGB", "lossy", ".jp2", _opencv(3), "imagecodecs"),
        Row("WebP", "8-bit", "lossless", ".webp", _webp, "Pillow", _pillow("WEBP", lying=True)),
        Row("GIF", "8-bit", "LZW", ".gif", _pillow("GIF"), "Pillow"),
        Row("PGM", "8-bit", "none", ".pgm", _pillow("PPM"), "Pillow"),
        Row("PPM", "16-bit RGB", "none", ".ppm", _opencv(3), "OpenCV"),
        Row("DICOM", "12-bit", "none", "", _dicom(), "pydicom"),
        Row("DICOM without preamble", "12-bit", "none", "", _bare, "pydicom"),
        Row("DICOM, big endian", "12-bit", "none", "", _dicom(ExplicitVRBigEndian), "pydicom"),
        Row("DICOM, implicit", "12-bit", "none", "", _dicom(ImplicitVRLittleEndian), "pydicom"),
        Row("DICOM", "12-bit", "deflated", "", _dicom(DeflatedExplicitVRLittleEndian), "pydicom"),
        Row("DICOM", "12-bit", "RLE", "", _dicom(RLELossless), "pydicom"),
        Row("DICOM", "12-bit", "JPEG lossless (process 14)", "", _gdcm("JPEG"), "SimpleITK"),
        Row("DICOM", "12-bit", "JPEG 2000", "", _gdcm("JPEG2000"), "SimpleITK"),
        Row("DICOM", "12-bit", "JPEG-LS", "", _copy("MR_small_jpeg_ls_lossless.dcm"), "SimpleITK"),
        Row("DICOM", "12-bit", "JPEG extended (process 4)", "", _copy("JPGExtended.dcm"), "SimpleITK"),
        Row("DICOM", "8-bit RGB", "JPEG baseline", "", _copy("SC_rgb_jpeg_dcmtk.dcm"), "pydicom with Pillow"),
        Row("DICOM", "12-bit", "High-Throughput JPEG 2000", "", _htj2k, "imagecodecs"),
        Row("DICOM", "12-bit in the upper of 16", "none", "", _upper_bits, "pydicom"),
        Row("DICOM", "8-bit", "MPEG-2", "", _renamed("1.2.840.10008.1.2.4.100"), ""),
        Row("DICOM", "8-bit", "MPEG-4", "", _renamed("1.2.840.10008.1.2.4.102"), ""),
        Row("DICOM report or DICOMDIR", "", "", "", _report, ""),
        Row("MetaImage", "16-bit", "none", ".mha", _stack(), "own reader, slice by slice"),
        Row(
            "MetaImage", "16-bit", "zlib, detached", ".mhd", _stack(compress=True), "own reader, in one pass"
        ),
        Row(
            "MetaImage", "64-bit", "zlib", ".mha", _stack(np.int64, compress=True), "own reader, in one pass"
        ),
        Row("MetaImage, a list of files", "16-bit", "none", ".mhd", _list, "SimpleITK"),
        Row("NIfTI", "", "", ".nii", _volume, ""),
        Row("NRRD", "", "", ".nrrd", _volume, ""),
        Row("GIF or WebP that moves", "", "", ".gif", _animation, ""),
        Row("any, of one grey value", "8-bit", "", ".png", _constant, ""),
    ]


def table() -> str:
    """Markdown, from what happened to each row's file."""
    with tempfile.TemporaryDirectory() as folder:
        cells = [_cells(row, Path(folder) / f"{number}") for number, row in enumerate(rows())]
    lines = [HEADER, tuple("---" for _ in HEADER), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Row, folder: Path) -> tuple[str, ...]:
    folder.mkdir()
    file = folder / f"x{row.suffix}"
    row.write(file, SHOWN)
    try:
        sources = list(read_images(file))
    except ValueError as error:
        reason = str(error).partition("as an X-ray image: ")[2]
        return (row.format, row.depth, row.compression, "", "", f"refused: {reason}", row.by)
    foreign = (
        file.stat().st_size > 0 and row.write.__name__ == "copied"
    )  # another picture, by another's program
    assert foreign or all(alike(source.image, SHOWN) for source in sources), row
    spacing = sources[0].spacing_source.replace("none", "")
    return (row.format, row.depth, row.compression, _orientation(row, folder), spacing, "read", row.by)


def _orientation(row: Row, folder: Path) -> str:
    """``all eight`` if a file that says how it lies is read upright, for each of the values."""
    if row.tagged is None:
        return ""
    for value, turn in ORIENTATIONS.items():
        file = folder / f"lying{value}{row.suffix}"
        _ORIENTATION.append(value)
        row.tagged(file, np.ascontiguousarray(turn(SHOWN)))
        assert alike(next(read_images(file)).image, SHOWN), (row, value)
    return "all eight"


_ORIENTATION = [1]  # the value that the next tagged file gets


def _pillow(form: str, bits: int = 8, lying: bool = False) -> Write:
    def write(file: Path, stored: np.ndarray) -> None:
        exif = Image.Exif()
        exif[0x0112] = _ORIENTATION[-1] if lying else 1
        options = {"quality": 98} if form == "JPEG" else {"lossless": True} if form == "WEBP" else {}
        image = Image.fromarray(deep(stored) if bits == 16 else stored)
        image.save(file, form, **(options | ({"exif": exif} if lying else {})))

    return write


def _opencv(channels: int) -> Write:
    def write(file: Path, stored: np.ndarray) -> None:
        alpha = [np.full_like(deep(stored), 65535)] * (channels - 3)
        cv2.imwrite(str(file), np.dstack([deep(stored)] * 3 + alpha))

    return write


def _grey_and_alpha(file: Path, stored: np.ndarray) -> None:
    channels = np.dstack([deep(stored), np.full_like(deep(stored), 65535)])
    sitk.WriteImage(sitk.GetImageFromArray(channels, isVector=True), str(file))


def _phone(file: Path, stored: np.ndarray) -> None:
    preview = Image.fromarray(np.ascontiguousarray(stored[::4, ::4]))
    Image.fromarray(stored).save(file, "MPO", save_all=True, append_images=[preview], quality=98)


def _lzw(file: Path, stored: np.ndarray) -> None:
    Image.fromarray(deep(stored)).save(file, compression="tiff_lzw")


def _webp(file: Path, stored: np.ndarray) -> None:
    Image.fromarray(stored).save(file, lossless=True)


def _white_is_zero(file: Path, stored: np.ndarray) -> None:
    Image.fromarray(4095 - deep(stored)).save(file, tiffinfo={262: 0})


def _tiff(channels: int, *, lying: bool = False, by_planes: bool = False, packed_bits: int = 0) -> Write:
    def write(file: Path, stored: np.ndarray) -> None:
        grey = deep(stored)
        stack = [grey] * channels if channels != 2 else [grey, np.full_like(grey, 65535)]
        tags = {274: _ORIENTATION[-1] if lying else 1} | ({338: 2} if channels == 2 else {})
        write_tiff(
            file,
            np.dstack(stack) if channels > 1 else grey,
            deflated=by_planes or channels == 2,
            meaning=2 if channels > 2 else 1,
            by_planes=by_planes,
            packed_bits=packed_bits or None,
            tags=tags,
        )

    return write


def _tiff_of(kind: str) -> Write:
    def write(file: Path, stored: np.ndarray) -> None:
        values = deep(stored).astype(np.float64) * (1e-4 if np.dtype(kind).kind == "f" else 1e5)
        write_tiff(file, values.astype(kind[1:]), kind[0], deflated=True, rows_a_strip=9)

    return write


def _oblong(file: Path, stored: np.ndarray) -> None:
    write_tiff(file, stored, tags={282: (300, 1), 283: (150, 1)})


def _oblong_pillow(file: Path, stored: np.ndarray) -> None:
    Image.fromarray(stored).save(file, dpi=(300, 150), quality=98)


def _pages(file: Path, stored: np.ndarray) -> None:
    with TiffImagePlugin.AppendingTiffWriter(str(file), new=True) as stream:
        for pixels, tags in ((stored, {}), (stored[::2, ::2], {254: 1}), (stored, {})):
            Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="TIFF", tiffinfo=tags)
            stream.newFrame()


def _dataset(stored: np.ndarray):
    return dicom_dataset(deep(stored), PixelSpacing=[0.1, 0.1])


def _dicom(syntax: UID | None = None) -> Write:
    def write(file: Path, stored: np.ndarray) -> None:
        dataset = _dataset(stored)
        if syntax == RLELossless:
            dataset.compress(syntax)
        elif syntax is not None:
            dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            dataset["PixelData"].VR = "OW"
            dataset.PixelData = deep(stored).astype(">u2").tobytes()
            dataset._read_little, dataset._read_implicit = None, None  # or pydicom refuses to change them
            dataset.save_as(file, implicit_vr=False, little_endian=False, enforce_file_format=True)
        else:
            dataset.save_as(file, enforce_file_format=True)

    return write


def _bare(file: Path, stored: np.ndarray) -> None:
    dataset = _dataset(stored)
    dataset.preamble = None
    del dataset.file_meta
    dataset.save_as(file, implicit_vr=True, little_endian=True, enforce_file_format=False)


def _gdcm(compressor: str) -> Write:
    def write(file: Path, stored: np.ndarray) -> None:
        write_dicom_by_itk(file.with_suffix(".dcm"), deep(stored), compressor)
        dataset = pydicom.dcmread(file.with_suffix(".dcm"))
        dataset.PixelSpacing = [0.1, 0.1]
        dataset.save_as(file)

    return write


def _copy(name: str) -> Write:
    def copied(file: Path, stored: np.ndarray) -> None:
        file.write_bytes(Path(str(get_testdata_file(name))).read_bytes())

    return copied


def _htj2k(file: Path, stored: np.ndarray) -> None:
    dataset = _dataset(stored)
    dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.201")
    dataset.PixelData = encapsulate([bytes(imagecodecs.htj2k_encode(deep(stored)))])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(file, enforce_file_format=True)


def _upper_bits(file: Path, stored: np.ndarray) -> None:
    dataset = dicom_dataset(deep(stored) << 4, PixelSpacing=[0.1, 0.1])
    dataset.HighBit = 15
    dataset.save_as(file, enforce_file_format=True)


def _renamed(syntax: str) -> Write:
    def write(file: Path, stored: np.ndarray) -> None:
        dataset = _dataset(stored)
        dataset.compress(RLELossless)
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        dataset.save_as(file, enforce_file_format=True)

    return write


def _report(file: Path, stored: np.ndarray) -> None:
    dataset = _dataset(stored)
    del dataset.Rows, dataset.Columns, dataset.PixelData
    dataset.save_as(file, enforce_file_format=True)


def _stack(kind: type = np.uint16, *, compress: bool = False) -> Write:
    def write(file: Path, stored: np.ndarray) -> None:
        image = sitk.GetImageFromArray(np.stack([deep(stored)] * 2).astype(kind))
        image.SetSpacing((0.1, 0.1, 1.0))
        sitk.WriteImage(image, str(file), useCompression=compress)

    return write


def _list(file: Path, stored: np.ndarray) -> None:
    height, width = stored.shape
    file.with_name("a.raw").write_bytes(deep(stored).tobytes())
    text = f"NDims = 3\nDimSize = {width} {height} 2\nElementSpacing = 0.1 0.1 1\nElementType = MET_USHORT\n"
    file.write_text(text + "ElementDataFile = LIST\na.raw\na.raw\n")


def _volume(file: Path, stored: np.ndarray) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.stack([stored] * 2)), str(file))


def _animation(file: Path, stored: np.ndarray) -> None:
    other = Image.fromarray(np.ascontiguousarray(stored[::-1]))
    Image.fromarray(stored).save(file, save_all=True, append_images=[other])


def _constant(file: Path, stored: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.zeros_like(stored)).save(stream, "PNG")
    file.write_bytes(stream.getvalue())


if __name__ == "__main__":
    write_marked(DOCUMENT, NAME, table())

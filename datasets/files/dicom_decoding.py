"""The stored values of a DICOM image, frame by frame, however they are compressed.

pydicom unpacks what is not compressed, RLE and (with Pillow) 8-bit JPEG. SimpleITK decodes the others:
lossless JPEG, JPEG-LS, JPEG 2000, 12-bit JPEG; imagecodecs decodes High-Throughput JPEG 2000. Where they
cannot, a plugin of pydicom's may be there. All are imported where they are used.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.files.dicom_spacing import numbers
from datasets.files.quiet import quiet

if TYPE_CHECKING:
    from pydicom import Dataset

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_JPEG_8_BIT = "1.2.840.10008.1.2.4.50"
_KNOWN_TO_SIMPLEITK = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91))
_KNOWN_TO_IMAGECODECS = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203))
_IMAGE_TAGS = (
    "SamplesPerPixel",
    "PlanarConfiguration",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)

Decoder = Callable[["Dataset"], Iterator[np.ndarray]]


def number_of_frames(dataset: "Dataset") -> int:
    """At least 1. Raises ValueError naming the tag where it is no number."""
    values = numbers(dataset, "NumberOfFrames")
    return max(int(values[0]), 1) if values else 1


def stored_frames(dataset: "Dataset") -> Iterator[np.ndarray]:
    """Every frame in turn, (H, W) or (H, W, 3) of the file's own number type.

    Raises ValueError where no decoder is at hand or none can read the data.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        yield from _as_they_lie(dataset) if _unused_low_bits(dataset) else _by_pydicom(dataset)
        return
    decoders = _decoders(dataset)
    if not decoders:
        raise ValueError(
            f"compressed as {syntax.name}, for which no decoder is at hand. Save it uncompressed with a "
            "DICOM viewer or converter"
        )
    yield from _by_the_first_that_can(decoders, dataset)


def _by_the_first_that_can(decoders: list[Decoder], dataset: "Dataset") -> Iterator[np.ndarray]:
    reasons = []
    for decoder in decoders:
        frames = decoder(dataset)
        try:
            first = next(frames)
        except Exception as error:  # each library raises a dozen kinds of its own
            reasons.append(" ".join(str(error).split())[:200])
            continue
        yield first
        yield from frames
        return
    name = dataset.file_meta.TransferSyntaxUID.name
    raise ValueError(f"its pixels, compressed as {name}, cannot be decoded, is it whole? ({reasons[0]})")


def _decoders(dataset: "Dataset") -> list[Decoder]:
    """Those that may know the file's compression, the better one first."""
    from pydicom.pixels.decoders.base import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        by_pydicom: list[Decoder] = [_by_pydicom] if get_decoder(syntax).is_available else []
    except NotImplementedError:
        by_pydicom = []
    others: list[Decoder] = [_by_simpleitk] if syntax in _KNOWN_TO_SIMPLEITK else []
    if syntax in _KNOWN_TO_IMAGECODECS:
        others = [_by_imagecodecs]
    return by_pydicom + others if syntax == _JPEG_8_BIT else others + by_pydicom


def _by_pydicom(dataset: "Dataset") -> Iterator[np.ndarray]:
    from pydicom.pixels.utils import iter_pixels

    yield from iter_pixels(dataset)


def _unused_low_bits(dataset: "Dataset") -> int:
    """Bits below the values of a pixel: old files put 12 bits into the upper part of 16."""
    if dataset.BitsAllocated not in (8, 16, 32):
        return 0
    return max(
        int(dataset.get("HighBit") or 0) + 1 - int(dataset.get("BitsStored") or dataset.BitsAllocated), 0
    )


def _as_they_lie(dataset: "Dataset") -> Iterator[np.ndarray]:
    """Uncompressed frames whose values do not begin at the lowest bit, which pydicom takes for granted."""
    from pydicom.pixels.utils import iter_pixels

    for frame in iter_pixels(dataset, correct_unused_bits=False):
        bits = 8 * frame.dtype.itemsize
        yield frame << (bits - 1 - int(dataset.HighBit)) >> (bits - int(dataset.BitsStored))


def _by_imagecodecs(dataset: "Dataset") -> Iterator[np.ndarray]:
    from imagecodecs import htj2k_decode
    from pydicom.encaps import generate_frames

    for frame in generate_frames(dataset.PixelData, number_of_frames=number_of_frames(dataset)):
        values = htj2k_decode(frame)
        if values.shape[:2] != (int(dataset.Rows), int(dataset.Columns)):
            raise ValueError(f"{values.shape[1]}x{values.shape[0]} pixels, its header says otherwise")
        yield values


def _by_simpleitk(dataset: "Dataset") -> Iterator[np.ndarray]:
    """Each frame by itself in a file that says nothing but how its pixels are stored.

    So no other tag has a say in how they are decoded, and no name that the library cannot open. What the
    values mean (rescale, window, MONOCHROME1) is for the caller, as with any other decoder.
    """
    from pydicom.encaps import generate_frames

    count = number_of_frames(dataset)
    with tempfile.TemporaryDirectory() as folder:
        for frame in generate_frames(dataset.PixelData, number_of_frames=count):
            yield _decoded(_write_frame(Path(folder) / "frame.dcm", frame, dataset), dataset)


def _write_frame(file: Path, frame: bytes, dataset: "Dataset") -> Path:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import generate_uid

    single = Dataset()
    single.file_meta = FileMetaDataset()
    single.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    single.SOPClassUID, single.SOPInstanceUID = _SECONDARY_CAPTURE, generate_uid()
    for keyword in _IMAGE_TAGS:
        if keyword in dataset:
            single[keyword] = dataset[keyword]
    colour = int(dataset.SamplesPerPixel) > 1
    single.PhotometricInterpretation = dataset.PhotometricInterpretation if colour else "MONOCHROME2"
    single.PixelData = encapsulate([frame])
    single["PixelData"].is_undefined_length = True
    single.save_as(file, enforce_file_format=True)
    return file


def _decoded(file: Path, dataset: "Dataset") -> np.ndarray:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # it would write them to the console
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        with quiet():
            values = sitk.GetArrayFromImage(reader.Execute())[0]
    except RuntimeError as error:
        raise ValueError(str(error).rpartition("ITK ERROR: ")[2]) from error
    if values.shape[:2] != (int(dataset.Rows), int(dataset.Columns)):
        raise ValueError(f"{values.shape[1]}x{values.shape[0]} pixels, its header says otherwise")
    return values

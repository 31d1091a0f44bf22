"""One X-ray in every kind of file that people have, written by the libraries that users' programs use."""

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

ORIENTATIONS = {  # EXIF value: upright picture -> how it is stored
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image[::-1].swapaxes(0, 1)[::-1, ::-1],
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: image[::-1].swapaxes(0, 1),
}


def picture(height: int = 40, width: int = 56) -> np.ndarray:
    """(H, W) uint8: a smooth picture that no turn and no mirror leaves as it is."""
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    waves = 0.5 * x + 0.3 * y + 0.2 * np.sin(9 * x * (1 + y)) * np.cos(4 * y)
    return np.round(255 * (waves - waves.min()) / np.ptp(waves)).astype(np.uint8)


def deep(image: np.ndarray, bits: int = 12) -> np.ndarray:
    """``image`` with 12 bits a pixel, which an 8-bit reader would clip or darken."""
    return (image.astype(np.uint16) << (bits - 8)) + 7


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two (H, W) uint8 pictures show the same, at a similar contrast and with enough grey values."""
    if one.shape != other.shape:
        return False
    return bool(np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99) and len(np.unique(one)) >= 150


def dicom_dataset(pixels: np.ndarray, *, bits: int = 12, interpretation: str = "MONOCHROME2", **tags: object):
    """A DICOM dataset of ``pixels``: (H, W), frames of it if deeper than 8 bits, or (H, W, 3)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        UID("1.2.840.10008.5.1.4.1.1.1.1"),
        generate_uid(),
    )
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    dataset.Rows, dataset.Columns = pixels.shape[-2:] if bits > 8 else pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if interpretation == "RGB" else 1
    if interpretation == "RGB":
        dataset.PlanarConfiguration = 0
    if bits > 8 and pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.PhotometricInterpretation = interpretation
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.BitsAllocated = 8 if bits <= 8 else 16
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelData = pixels.tobytes()
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    return dataset


def write_dicom(
    file: Path, pixels: np.ndarray, bits: int = 12, interpretation: str = "MONOCHROME2", **tags: object
) -> Path:
    """``dicom_dataset`` as a file, uncompressed."""
    dataset = dicom_dataset(pixels, bits=bits, interpretation=interpretation, **tags)
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file


def write_dicom_by_itk(file: Path, pixels: np.ndarray, compressor: str) -> Path:
    """``pixels`` compressed by GDCM: JPEG is lossless JPEG (process 14), JPEG2000 is lossless too."""
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetFileName(str(file))
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.Execute(sitk.GetImageFromArray(pixels))
    return file

"""A DICOM image as an X-ray machine writes it."""

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid


def a_radiograph(file: Path, pixels: np.ndarray) -> Path:
    """A computed radiograph of ``pixels`` (H, W) uint8 at 0.5 mm."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.PatientID, image.PatientName, image.PatientBirthDate, image.PatientSex = "1", "A^B", "", ""
    image.AccessionNumber = image.StudyID = image.StudyDate = image.StudyTime = ""
    image.ReferringPhysicianName, image.Modality = "", "CR"
    image.SeriesNumber, image.InstanceNumber = 1, 1
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.ImagerPixelSpacing = [0.5, 0.5]
    image.PixelData = pixels.tobytes()
    image.save_as(file, enforce_file_format=True)
    return file

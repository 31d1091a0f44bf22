"""Found masks as a DICOM Segmentation, read back by pydicom."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from tests.support.tiny_masks import CHEST, SIZE, chest_case, found_of
from util.prediction.masks.image_masks import ImageMasks

WIDTH, HEIGHT = SIZE


def a_radiograph(file: Path) -> Path:
    """A computed radiograph of the size of the chests."""
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
    image.Rows, image.Columns, image.SamplesPerPixel = HEIGHT, WIDTH, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.ImagerPixelSpacing = [0.5, 0.5]
    image.PixelData = chest_case(0).image.tobytes()
    image.save_as(file, enforce_file_format=True)
    return file


def test_a_dicom_segmentation_holds_overlapping_segments(tmp_path):
    pytest.importorskip("highdicom")
    from util.prediction.masks.dicom_seg import write_dicom_seg

    source, file = a_radiograph(tmp_path / "a.dcm"), tmp_path / "seg.dcm"
    assert write_dicom_seg(file, source, found_of(1), CHEST.classes) == 3, "no clavicle, no segment"
    read = pydicom.dcmread(file)
    labels = [str(segment.SegmentLabel) for segment in read.SegmentSequence]
    assert labels == ["right_lung", "left_lung", "heart"] and read.Modality == "SEG"
    frames = read.pixel_array.astype(bool)
    order = [
        int(f.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for f in read.PerFrameFunctionalGroupsSequence
    ]
    assert sorted(order) == [1, 2, 3] and (read.Rows, read.Columns) == (HEIGHT, WIDTH)
    for number, frame in zip(order, frames, strict=True):
        np.testing.assert_array_equal(frame, found_of(1).mask(number - 1))
    assert (frames.sum(0) >= 2).any(), "segments overlap"
    assert read.PatientID == "1"
    assert read.ReferencedSeriesSequence[0].SeriesInstanceUID == pydicom.dcmread(source).SeriesInstanceUID


def test_what_cannot_be_a_dicom_segmentation_is_refused(tmp_path):
    pytest.importorskip("highdicom")
    from util.prediction.masks.dicom_seg import write_dicom_seg

    (tmp_path / "a.png").write_bytes(b"no dicom")
    small = ImageMasks(np.ones((4, 5, 1), np.uint8), 1, np.ones(2))
    nothing = ImageMasks(np.zeros((HEIGHT, WIDTH, 1), np.uint8), 1, np.ones(2))
    source = a_radiograph(tmp_path / "a.dcm")
    for image, found, named in (
        (tmp_path / "a.png", small, "not a DICOM image"),
        (source, small, "5x4"),
        (source, nothing, "no structure was found"),
    ):
        with pytest.raises(ValueError, match=named):
            write_dicom_seg(tmp_path / "seg.dcm", image, found, ("x",))
        assert not (tmp_path / "seg.dcm").exists()

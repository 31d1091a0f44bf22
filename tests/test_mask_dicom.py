"""Found masks as a DICOM Segmentation, read back by pydicom."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset

from tests.support.radiograph import a_radiograph
from tests.support.tiny_masks import CHEST, SIZE, chest_case, found_of

WIDTH, HEIGHT = SIZE


def test_a_dicom_segmentation_holds_overlapping_segments(tmp_path):
    pytest.importorskip("highdicom")
    from util.prediction.masks.dicom_seg import write_dicom_seg

    source, file = a_radiograph(tmp_path / "a.dcm", chest_case(0).image), tmp_path / "seg.dcm"
    there = {name: mask for name, mask in zip(CHEST.classes, found_of(1).masks(), strict=True) if mask.any()}
    assert len(there) == 3
    write_dicom_seg(file, source, there)
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
    small, nothing = np.ones((4, 5), bool), np.zeros((HEIGHT, WIDTH), bool)
    source = a_radiograph(tmp_path / "a.dcm", chest_case(0).image)
    for image, masks, named in (
        (tmp_path / "a.png", {"x": small}, "not a DICOM image"),
        (source, {"x": small}, "5x4"),
        (source, {"x": ~nothing, "y": nothing}, "no pixel of .'y'."),
        (source, {}, "any structure"),
    ):
        with pytest.raises(ValueError, match=named):
            write_dicom_seg(tmp_path / "seg.dcm", image, masks)
        assert not (tmp_path / "seg.dcm").exists()


def test_an_anonymised_image_will_do_but_not_one_without_identity(tmp_path):
    pytest.importorskip("highdicom")
    from util.prediction.masks.dicom_seg import write_dicom_seg

    source, file = a_radiograph(tmp_path / "a.dcm", chest_case(0).image), tmp_path / "seg.dcm"
    image, masks = pydicom.dcmread(source), {"x": np.ones((HEIGHT, WIDTH), bool)}
    for name in ("PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyTime", "Modality"):
        if name in image:
            delattr(image, name)
    image.save_as(source)
    write_dicom_seg(file, source, masks)
    assert pydicom.dcmread(file).PatientBirthDate == ""
    del image.StudyInstanceUID
    image.save_as(source)
    with pytest.raises(ValueError, match="no StudyInstanceUID, by which another object refers"):
        write_dicom_seg(file, source, masks)


def test_an_image_without_preamble_will_do_as_it_does_for_inference(tmp_path):
    pytest.importorskip("highdicom")
    from util.prediction.masks.dicom_seg import write_dicom_seg

    source, file = a_radiograph(tmp_path / "a.dcm", chest_case(0).image), tmp_path / "seg.dcm"
    image = pydicom.dcmread(source)
    image.preamble = None
    image.file_meta = FileMetaDataset()
    image.save_as(source, implicit_vr=True, little_endian=True)
    write_dicom_seg(file, source, {"x": np.ones((HEIGHT, WIDTH), bool)})
    assert pydicom.dcmread(file).StudyInstanceUID == image.StudyInstanceUID

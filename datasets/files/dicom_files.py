"""DICOM X-rays as 8-bit grey images with their spacing. pydicom is imported where it is used."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.files.dicom_decoding import number_of_frames, stored_frames
from datasets.files.dicom_display import displayed
from datasets.files.dicom_spacing import dicom_spacing

if TYPE_CHECKING:
    from pydicom import Dataset

_DIRECTORY = "1.2.840.10008.1.3.10"  # storage class of a DICOMDIR
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"  # pixels, but those of a mask
_PLAIN: dict[tuple[bool | None, bool | None], str] = {  # transfer syntaxes by (implicit, little endian)
    (True, True): "1.2.840.10008.1.2",
    (False, True): "1.2.840.10008.1.2.1",
    (False, False): "1.2.840.10008.1.2.2",
}
_LARGE_VALUE = "1 MB"  # pixels are read when they are asked for
_IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
_MAY_BE_EMPTY = (  # but highdicom expects them, and anonymised files often lack some
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime"),
)


@dataclass(frozen=True)
class DicomImage:
    """A DICOM file that has been opened; its frames are decoded one by one."""

    file: Path
    dataset: "Dataset"

    @property
    def num_frames(self) -> int:
        return number_of_frames(self.dataset)

    def spacing(self) -> tuple[np.ndarray, str]:
        """(2,) mm per pixel along x and y or NaN, and which tag says so."""
        return dicom_spacing(self.dataset)

    @property
    def patient_orientation(self) -> tuple[str, str] | None:
        """Where the rows and columns run, by the first letter of each: A P, F H, R L. None if unsaid."""
        given = self.dataset.get("PatientOrientation")
        letters = [str(part)[:1] for part in given] if isinstance(given, Sequence) else []
        if len(letters) != 2 or not set(letters) <= set("APFHRL"):
            return None
        return letters[0], letters[1]

    def frames(self) -> Iterator[np.ndarray]:
        """Each frame in turn, (H, W) uint8 grey with bone bright."""
        for stored in stored_frames(self.dataset):
            yield displayed(stored, self.dataset, self.file)


def open_dicom(file: Path) -> DicomImage:
    """Read all tags but the pixels. Raises ValueError where ``file`` is DICOM without an image."""
    dataset = read_dicom(file)
    if (reason := _without_pixels(dataset)) is not None:
        raise ValueError(f"{reason}, expected an image. Give the images that belong to it")
    missing = [tag for tag in ("Columns", "BitsAllocated", "PhotometricInterpretation") if tag not in dataset]
    if missing:
        raise ValueError(f"the DICOM tags {missing} are missing. Export it again")
    return DicomImage(file, dataset)


def dicom_without_pixels(file: Path) -> str | None:
    """What the DICOM ``file`` is if it holds no image; None if it holds one or is not readable at all."""
    try:
        return _without_pixels(read_dicom(file, stop_before_pixels=True))
    except Exception:  # pydicom raises a dozen kinds
        return None  # for the reader, which names what is wrong


def read_dicom(file: Path, *, stop_before_pixels: bool = False) -> "Dataset":
    """``file`` with its transfer syntax, which a file without preamble does not name.

    A file that is no DICOM gives a dataset without tags.
    """
    from pydicom import config, dcmread
    from pydicom.uid import UID

    config.settings.reading_validation_mode = config.IGNORE  # what is wrong is for us to say
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    dataset = dcmread(file, force=True, defer_size=_LARGE_VALUE, stop_before_pixels=stop_before_pixels)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = UID(_PLAIN.get(dataset.original_encoding, _PLAIN[True, True]))
    return dataset


def require_identity(dataset: "Dataset", name: object, instead: str = "") -> None:
    """Raise ValueError, beginning with ``name``, for an image to which no other object can refer.

    ``instead``: a sentence on what to do. Tags that may be empty, and that an anonymised image lacks, are
    put into ``dataset``: they are repeated by whatever refers to it.
    """
    if absent := [tag for tag in _IDENTITY if not dataset.get(tag)]:
        refusal = f"{name}: no {', '.join(absent)}, by which another object refers to its image. {instead}"
        raise ValueError(refusal.rstrip())
    for tag in _MAY_BE_EMPTY:
        if tag not in dataset:
            setattr(dataset, tag, "")
    dataset.Modality = dataset.get("Modality") or "OT"  # other


def _without_pixels(dataset: "Dataset") -> str | None:
    if dataset.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY or "DirectoryRecordSequence" in dataset:
        return "DICOMDIR"
    if dataset.get("SOPClassUID") == _SEGMENTATION:
        return "DICOM segmentation"
    return None if "Rows" in dataset else "DICOM without pixels"

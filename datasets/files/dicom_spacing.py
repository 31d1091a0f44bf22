"""How large the pixels of a DICOM X-ray are, and which tag says so."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset

UNKNOWN = "none"
_MAGNIFICATION = "EstimatedRadiographicMagnificationFactor"


def dicom_spacing(dataset: "Dataset") -> tuple[np.ndarray, str]:
    """(2,) mm per pixel along x and y, and the tag that tells; NaN and ``none`` where none does.

    Calibrated spacing first; it is none where it only repeats that at the detector (DICOM PS3.3 10.7.1.3),
    or says 1 mm both ways, as writers do that know none. Spacing at the detector is divided by the
    magnification, where that is known: the anatomy is nearer to the source than the detector is. Spacing of a
    digitised film last. DICOM lists the rows (y) first. Raises ValueError that names tag and value.
    """
    calibrated = _spacing(_measures(dataset), "PixelSpacing")
    detector = _spacing(dataset, "ImagerPixelSpacing")
    if calibrated is not None and not (_is_unset(calibrated) or _repeats(calibrated, detector, dataset)):
        return calibrated, "PixelSpacing"
    if detector is not None:
        factor = _magnification(dataset)
        if factor is None:
            return detector, "ImagerPixelSpacing"
        return detector / factor, f"ImagerPixelSpacing / magnification {factor:.2f}"
    scanned = _spacing(dataset, "NominalScannedPixelSpacing")
    if scanned is not None:
        return scanned, "NominalScannedPixelSpacing"
    return np.full(2, np.nan), UNKNOWN


def _measures(dataset: "Dataset") -> "Dataset":
    """Where the pixel spacing stands: in the file itself or, of an enhanced one, in what its frames share."""
    shared = dataset.get("SharedFunctionalGroupsSequence") if "PixelSpacing" not in dataset else None
    measures = shared[0].get("PixelMeasuresSequence") if shared else None
    return measures[0] if measures else dataset


def _is_unset(spacing: np.ndarray) -> bool:
    """No X-ray detector has pixels of 1 mm."""
    return bool((spacing == 1.0).all())


def _repeats(calibrated: np.ndarray, detector: np.ndarray | None, dataset: "Dataset") -> bool:
    same = detector is not None and np.allclose(calibrated, detector, rtol=1e-6)
    return bool(same) and not dataset.get("PixelSpacingCalibrationType")


def numbers(dataset: "Dataset", keyword: str) -> list[float] | None:
    """The numbers of a tag, or None where it is absent or empty.

    Raises ValueError naming tag and value, also where pydicom would not say which tag it could not read.
    """
    text = _texts(dataset, keyword)
    if not text:
        return None
    try:
        return [float(part) for part in text]
    except ValueError as error:
        shown = "\\".join(text)
        raise ValueError(
            f"{keyword} {shown!r}, expected numbers. Correct or remove it, or give --spacing where it is one"
        ) from error


def _texts(dataset: "Dataset", keyword: str) -> list[str]:
    """The parts of a tag's value, before they are taken for numbers."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataelem import RawDataElement

    tag = tag_for_keyword(keyword)
    assert tag is not None  # keywords are our own
    element: Any = dataset.get_item(tag) if tag in dataset else None
    if element is None or element.value is None:
        return []
    value = element.value
    if isinstance(element, RawDataElement) and element.VR in (None, "DS", "IS", "UN") and value:
        value = value.decode("latin-1").strip("\0 ").split("\\")
    elif isinstance(element, RawDataElement):
        value = dataset[tag].value  # binary numbers: nothing can be misspelt
    if isinstance(value, str) or not isinstance(value, Sequence):
        value = [value]
    texts = [str(part).strip("\0 ") for part in value]
    return [] if texts == [""] else texts


def _spacing(dataset: "Dataset", keyword: str) -> np.ndarray | None:
    values = numbers(dataset, keyword)
    if values is None:
        return None
    spacing = np.array(values[::-1])
    if spacing.shape != (2,) or not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise ValueError(
            f"{keyword} {values}, expected two numbers above 0 mm. Correct or remove the tag, "
            "or give --spacing"
        )
    return spacing


def _magnification(dataset: "Dataset") -> float | None:
    values = numbers(dataset, _MAGNIFICATION)
    if values is None:
        return None
    if len(values) != 1 or not (np.isfinite(values[0]) and values[0] > 0):
        raise ValueError(
            f"{_MAGNIFICATION} {values}, expected one number above 0. Correct or remove the tag, "
            "or give --spacing"
        )
    return values[0]

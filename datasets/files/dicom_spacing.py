"""How large the pixels of a DICOM X-ray are, and which tag says so."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from transforms.geometry import pixel_shape

if TYPE_CHECKING:
    from pydicom import Dataset

UNKNOWN = "none"
_MAGNIFICATION = "EstimatedRadiographicMagnificationFactor"


def dicom_spacing(dataset: "Dataset") -> tuple[np.ndarray, str]:
    """(2,) mm per pixel along x and y, and the tag that tells; NaN and ``none`` where none does.

    Calibrated spacing first; it is none where it only repeats that at the detector (DICOM PS3.3 10.7.1.3).
    Spacing at the detector is divided by the magnification, where that is known: the anatomy is nearer to the
    source than the detector is. Spacing of a digitised film last. A tag of 1 mm both ways says nothing:
    writers put it that know none. DICOM lists the rows (y) first. Raises ValueError that names tag and value,
    also where the pixels are oblong and nothing says how long.
    """
    calibrated = _spacing(_measures(dataset), "PixelSpacing")
    detector = _spacing(dataset, "ImagerPixelSpacing")
    if calibrated is not None and not _repeats(calibrated, detector, dataset):
        return calibrated, "PixelSpacing"
    if detector is not None:
        factor = _magnification(dataset)
        if factor is None:
            return detector, "ImagerPixelSpacing"
        return detector / factor, f"ImagerPixelSpacing / magnification {factor:.2f}"
    scanned = _spacing(dataset, "NominalScannedPixelSpacing")
    if scanned is not None:
        return scanned, "NominalScannedPixelSpacing"
    _require_square(dataset)
    return np.full(2, np.nan), UNKNOWN


def _measures(dataset: "Dataset") -> "Dataset":
    """Where the pixel spacing stands: in the file itself or, of an enhanced one, in what its frames share."""
    shared = dataset.get("SharedFunctionalGroupsSequence") if "PixelSpacing" not in dataset else None
    measures = shared[0].get("PixelMeasuresSequence") if shared else None
    return measures[0] if measures else dataset


def _require_square(dataset: "Dataset") -> None:
    """Raise ValueError where pixels of unknown size are oblong: a model would see a squeezed picture, and its
    angles would be wrong.
    """
    ratio = numbers(dataset, "PixelAspectRatio")  # vertical size, horizontal size
    if ratio and len(ratio) == 2 and (pixel_shape(np.array(ratio)) != 1.0).any():
        raise ValueError(
            f"PixelAspectRatio {ratio}: its pixels are oblong, and no tag says their size. Give --spacing "
            "with two numbers, mm per pixel along x and y"
        )


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
    """(2,) along x and y; None where the tag is absent or says 1 mm: no X-ray detector has such pixels."""
    values = numbers(dataset, keyword)
    if values is None:
        return None
    spacing = np.array(values[::-1])
    if spacing.shape != (2,) or not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise ValueError(
            f"{keyword} {values}, expected two numbers above 0 mm. Correct or remove the tag, "
            "or give --spacing"
        )
    return None if (spacing == 1.0).all() else spacing


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

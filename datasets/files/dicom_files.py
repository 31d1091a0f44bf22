"""DICOM X-rays as 8-bit grey images with their spacing. pydicom is imported where it is used."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets.files.grey import to_grey8, unit_to_grey8

if TYPE_CHECKING:
    from pydicom import Dataset

_SPACING_TAGS = ("PixelSpacing", "ImagerPixelSpacing")  # calibrated first, at the detector second


def is_dicom(file: Path) -> bool:
    """Whether ``file`` has the mark of a DICOM file after its preamble."""
    with file.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def read_dicom(file: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames, each (H, W) uint8 grey with bone bright, and (2,) spacing in mm per pixel along x and y or NaN.

    Contrast: the file's own lookup table or window, or else percentiles.
    """
    import pydicom
    from pydicom.pixels.processing import apply_modality_lut

    dataset = pydicom.dcmread(file)
    spacing = dicom_spacing(dataset)
    pixels = dataset.pixel_array
    if int(dataset.SamplesPerPixel) > 1:
        return [to_grey8(frame) for frame in _frames(pixels, grey=False)], spacing
    frames = [
        _displayed(np.asarray(apply_modality_lut(frame, dataset)), dataset)
        for frame in _frames(pixels, grey=True)
    ]
    if dataset.PhotometricInterpretation == "MONOCHROME1":  # low values are shown bright
        frames = [255 - frame for frame in frames]
    elif dataset.PhotometricInterpretation != "MONOCHROME2":
        raise ValueError(
            f"photometric interpretation {dataset.PhotometricInterpretation}, expected MONOCHROME1 or 2"
        )
    return frames, spacing


def dicom_spacing(dataset: "Dataset") -> np.ndarray:
    """(2,) mm per pixel along x and y, NaN where no tag tells. DICOM lists the rows (y) first."""
    for tag in _SPACING_TAGS:
        value = dataset.get(tag)
        if value is None or value == "":
            continue
        spacing = np.array([float(number) for number in value][::-1])
        if spacing.shape != (2,) or not (np.isfinite(spacing).all() and (spacing > 0).all()):
            raise ValueError(
                f"{tag} {list(value)}, expected two numbers above 0 mm. Correct or remove the tag"
            )
        return spacing
    return np.full(2, np.nan)


def _frames(pixels: np.ndarray, *, grey: bool) -> Iterator[np.ndarray]:
    single = pixels.ndim == (2 if grey else 3)
    yield from (pixels[None] if single else pixels)


def _displayed(values: np.ndarray, dataset: "Dataset") -> np.ndarray:
    """Modality values -> (H, W) uint8 as a viewer shows them, before MONOCHROME1 is turned over."""
    from pydicom.pixels.processing import apply_voi_lut

    tables = dataset.get("VOILUTSequence")
    if tables:
        shown = np.asarray(apply_voi_lut(values, dataset, prefer_lut=True))
        bits = int(tables[0].LUTDescriptor[2])
        return unit_to_grey8(shown / (2.0**bits - 1.0))
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if centre is None or width is None or width <= 1.0:
        return to_grey8(values)
    function = dataset.get("VOILUTFunction", "LINEAR")
    if function == "SIGMOID":
        return unit_to_grey8(1.0 / (1.0 + np.exp(-4.0 * (values - centre) / width)))
    if function == "LINEAR":  # DICOM PS3.3 C.11.2.1.2: the window counts pixel values, not intervals
        centre, width = centre - 0.5, width - 1.0
    return unit_to_grey8((values - centre) / width + 0.5)


def _first(value: Any) -> float | None:
    """A tag may hold several windows; the first is the one to show."""
    if value is None or value == "":
        return None
    return float(value[0] if isinstance(value, Sequence) else value)

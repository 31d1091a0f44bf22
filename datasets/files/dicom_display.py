"""A DICOM image's stored values as 8-bit grey, as a viewer shows them."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.files.dicom_shutter import shut_out
from datasets.files.dicom_spacing import numbers
from datasets.files.grey import (
    blocks,
    percentile_window,
    shows_nothing,
    some_values,
    stretched,
    to_grey8,
    unit_to_grey8,
)
from util.files import printable

if TYPE_CHECKING:
    from pydicom import Dataset

logger = logging.getLogger(__name__)

Look = Callable[[np.ndarray], np.ndarray]  # modality values -> uint8 of the same shape


def displayed(stored: np.ndarray, dataset: "Dataset", file: Path) -> np.ndarray:
    """(H, W) uint8, bone bright, from ``stored`` (H, W) or (H, W, 3).

    Contrast: the file's own lookup table or window, or else percentiles. Pixel padding and what a shutter
    hides is no anatomy: it is left out of the percentiles and black. Where the table or window leaves one
    grey value, percentiles take its place, with a warning that names ``file``.
    """
    interpretation = str(dataset.PhotometricInterpretation)
    if interpretation == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        return to_grey8(apply_color_lut(stored, dataset))
    if stored.ndim == 3:
        return to_grey8(stored)
    if interpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"photometric interpretation {interpretation}, expected MONOCHROME1 or 2")
    padding = _no_anatomy(stored, dataset)
    image = _own_contrast(stored, dataset, padding, file)
    if interpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE":
        image = 255 - image
    if padding is not None:
        image[padding] = 0
    return image


def _own_contrast(
    stored: np.ndarray, dataset: "Dataset", padding: np.ndarray | None, file: Path
) -> np.ndarray:
    look = _look(dataset)
    if look is not None:
        image = _applied(look, stored, dataset)
        if not shows_nothing(image, padding):
            return image
        logger.warning(
            "%s: its window (or lookup table) leaves one grey value; shown between percentiles instead",
            printable(file),
        )
    if _modality(stored[:1], dataset).dtype == np.uint8:
        return stored.copy()
    low, high = percentile_window(_modality(some_values(stored, padding), dataset))
    return _applied(lambda values: stretched(values, low, high), stored, dataset)


def _applied(look: Look, stored: np.ndarray, dataset: "Dataset") -> np.ndarray:
    image = np.empty(stored.shape, np.uint8)
    for rows in blocks(stored):
        image[rows] = look(_modality(stored[rows], dataset))
    return image


def _modality(stored: np.ndarray, dataset: "Dataset") -> np.ndarray:
    from pydicom.pixels.processing import apply_modality_lut

    return np.asarray(apply_modality_lut(stored, dataset))


def _look(dataset: "Dataset") -> Look | None:
    """How the file wants its modality values shown; None where it does not say."""
    if dataset.get("VOILUTSequence"):
        return lambda values: _through_table(values, dataset)
    centres, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    if not centres or not widths or widths[0] <= 1.0:
        return None
    centre, width = centres[0], widths[0]  # of several windows the first is the one to show
    function = dataset.get("VOILUTFunction", "LINEAR")
    if function == "SIGMOID":
        return lambda values: unit_to_grey8(1.0 / (1.0 + np.exp(-4.0 * (values - centre) / width)))
    if function == "LINEAR":  # DICOM PS3.3 C.11.2.1.2: the window counts pixel values, not intervals
        centre, width = centre - 0.5, width - 1.0
    return lambda values: unit_to_grey8((values - centre) / width + 0.5)


def _through_table(values: np.ndarray, dataset: "Dataset") -> np.ndarray:
    from pydicom.pixels.processing import apply_voi_lut

    shown = np.asarray(apply_voi_lut(values, dataset, prefer_lut=True))
    bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
    return unit_to_grey8(shown / (2.0**bits - 1.0))


def _no_anatomy(stored: np.ndarray, dataset: "Dataset") -> np.ndarray | None:
    """(H, W) bool where ``stored`` is padding or behind a shutter; None where nothing is."""
    parts = [
        part for part in (_padding(stored, dataset), shut_out(dataset, stored.shape)) if part is not None
    ]
    if not parts:
        return None
    both = np.logical_or.reduce(parts)
    return parts[0] if both.all() else both


def _padding(stored: np.ndarray, dataset: "Dataset") -> np.ndarray | None:
    """(H, W) bool where ``stored`` is no image but padding (PS3.3 C.7.5.1.1.2); None where there is none."""
    values = numbers(dataset, "PixelPaddingValue")
    if not values or stored.dtype.kind not in "iu":
        return None
    ends = (values[0], (numbers(dataset, "PixelPaddingRangeLimit") or values)[0])
    low, high = sorted(_as_stored(end, stored.dtype) for end in ends)
    padding = (stored >= low) & (stored <= high)
    return padding if padding.any() and not padding.all() else None


def _as_stored(value: float, dtype: np.dtype) -> int:
    """Writers give -32768 as 32768 and the other way round: the same bits."""
    bits = 8 * dtype.itemsize
    wrapped = int(value) % (1 << bits)
    return wrapped - (1 << bits) if dtype.kind == "i" and wrapped >= 1 << (bits - 1) else wrapped

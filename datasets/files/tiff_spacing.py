"""How large the oblong pixels of a TIFF are."""

from collections.abc import Sequence

import numpy as np

from datasets.files.tiff_files import TiffPage
from transforms.geometry import pixel_shape

SOURCE = "XResolution, YResolution"
_MM_PER_UNIT = {2: 25.4, 3: 10.0}  # by ResolutionUnit


def tiff_spacing(pages: Sequence[TiffPage]) -> tuple[np.ndarray, str]:
    """(2,) mm per pixel along x and y of the upright pages, and the tags that tell; NaN and ``none`` where
    none does.

    Only oblong pixels count. The same number both ways (72, 96, 300) is what programs put that know none, and
    so is one of at most 1 a unit. Raises ValueError for pixels that are oblong without a unit of length, and
    for pages of several sizes of pixels.
    """
    found = [_of_page(page) for page in pages]
    for page, spacing in zip(pages, found, strict=True):
        if not np.allclose(spacing, found[0], rtol=1e-6, equal_nan=True):
            raise ValueError(
                f"{SOURCE} {pages[0].resolution} on the first page and {page.resolution} on page "
                f"{page.number + 1}, expected one size of pixels. Save the pages as files of their own"
            )
    return found[0], "none" if np.isnan(found[0]).any() else SOURCE


def _of_page(page: TiffPage) -> np.ndarray:
    """(2,) mm per pixel; NaN where its tags say nothing."""
    resolution = np.array(page.resolution)
    if (pixel_shape(resolution) == 1.0).all():
        return np.full(2, np.nan)
    if page.unit not in _MM_PER_UNIT:
        raise ValueError(
            f"{SOURCE} {page.resolution}: its pixels are oblong, and ResolutionUnit {page.unit} is no "
            "length. Give --spacing with two numbers, mm per pixel along x and y"
        )
    return np.full(2, np.nan) if min(resolution) <= 1.0 else _MM_PER_UNIT[page.unit] / resolution

"""How large the oblong pixels of a picture are, by the resolution that its file says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from transforms.geometry import pixel_shape

INCH_MM, CM_MM = 25.4, 10.0
_TOO_LARGE_MM = 10.0  # a pixel: what one a unit and the like stand for


@dataclass(frozen=True)
class Resolution:
    """What a file says of the pixels of one of its pictures, upright. ``source``: the field that says so."""

    source: str
    per_unit: tuple[float, float]  # pixels a unit along x and y; NaN where unknown
    unit_mm: float | None  # None: the unit is no length, so only the shape of the pixels is said

    @property
    def is_oblong(self) -> bool:
        return bool((pixel_shape(np.array(self.per_unit)) != 1.0).any())

    def turned(self) -> "Resolution":
        """That of the picture after a quarter turn."""
        return replace(self, per_unit=self.per_unit[::-1])

    def spacing(self) -> np.ndarray:
        """(2,) mm per pixel along x and y; NaN where the file does not say so.

        Only oblong pixels count. The same number both ways (72, 96, 300) is what programs put that know none,
        and so is one that makes a pixel 1 cm long or longer. Raises ValueError for pixels that are oblong
        without a unit of length.
        """
        if not self.is_oblong:
            return np.full(2, np.nan)
        if self.unit_mm is None:
            raise ValueError(
                f"{self.source} {self.per_unit}: its pixels are oblong, and its unit is no length. Give "
                "--spacing with two numbers, mm per pixel along x and y"
            )
        spacing = self.unit_mm / np.array(self.per_unit)
        return spacing if spacing.max() < _TOO_LARGE_MM else np.full(2, np.nan)


def common_spacing(resolutions: Sequence[Resolution]) -> tuple[np.ndarray, str]:
    """(2,) mm per pixel along x and y of all pictures of a file, and the field that tells; NaN and ``none``
    where none does. Raises ValueError as ``Resolution.spacing``, and for pixels of several sizes.
    """
    first, spacing = resolutions[0], resolutions[0].spacing()
    for number, other in enumerate(resolutions[1:], start=2):
        if not np.allclose(other.spacing(), spacing, rtol=1e-6, equal_nan=True):
            raise ValueError(
                f"{first.source} {first.per_unit} on the first page and {other.per_unit} on page {number}, "
                "expected one size of pixels. Save the pages as files of their own"
            )
    return spacing, "none" if np.isnan(spacing).any() else first.source

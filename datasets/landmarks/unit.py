"""What lengths are measured in: millimetres, or percent of a length that every image shows.

Many X-rays come without the size of a pixel. Their errors are told as shares of the image's height or width,
or of the distance of two landmarks of the same image. A prepared folder says which (``dataset.json``,
``unit``); from there on a "spacing" is that many of these units a pixel, so that losses, errors and tables
are in the unit, and only its name differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from transforms.sample import MILLIMETRES

IMAGE_LENGTHS = ("image height", "image width")
_AXIS = {"image height": 1, "image width": 0}


@dataclass(frozen=True)
class LengthUnit:
    """``of``: the length that is 100 %: one of ``IMAGE_LENGTHS`` or the names of two landmarks; None: mm."""

    of: str | tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """As it stands behind a number: "mm", "% of the image height"."""
        if self.of is None:
            return MILLIMETRES
        return f"% of {f'the {self.of}' if isinstance(self.of, str) else ' to '.join(self.of)}"

    def require_of(self, landmark_set: LandmarkSet, source: object) -> None:
        """Raise ValueError, beginning with ``source``, unless this is a length that an image can show."""
        if self.of is None or self.of in IMAGE_LENGTHS:
            return
        known = landmark_set.landmarks
        if isinstance(self.of, str) or len(set(self.of)) != 2 or not set(self.of) <= set(known):
            raise ValueError(
                f"{source}: unit {self.of!r}, expected 'mm', one of {IMAGE_LENGTHS}, or two different "
                f"landmarks of {landmark_set.name!r} by name."
            )

    def per_pixel(
        self, points: np.ndarray, size: tuple[int, int], spacing: np.ndarray, names: Sequence[str]
    ) -> np.ndarray:
        """(2,) units a pixel along x and y, of one image; NaN where its length is not known.

        points: (K, 2) pixels, called ``names``; size: (width, height); spacing: mm a pixel, NaN where
        unknown: then pixels are taken for squares.
        """
        if self.of is None:
            return spacing
        pixel = spacing if np.isfinite(spacing).all() else np.ones(2)
        if isinstance(self.of, str):
            axis = _AXIS[self.of]
            length = size[axis] * pixel[axis]
        else:
            first, second = (points[list(names).index(name)] for name in self.of)
            length = float(np.linalg.norm((first - second) * pixel))
        return 100.0 * pixel / length if length > 0 else np.full(2, np.nan)

    def to_json(self) -> str | list[str]:
        if self.of is None:
            return MILLIMETRES
        return self.of if isinstance(self.of, str) else list(self.of)

    @classmethod
    def from_json(cls, value: Any, landmark_set: LandmarkSet, source: object) -> "LengthUnit":
        """From ``dataset.json`` or a checkpoint; absent means mm. Raises ValueError for what is no length."""
        if value in (None, MILLIMETRES):
            return cls()
        if not isinstance(value, str | list | tuple) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{source}: unit {value!r}, expected a name or two. Compare with docs/data.md.")
        pair = value if isinstance(value, str) else tuple(value)
        unit = cls(pair if isinstance(pair, str) or len(pair) == 2 else " ".join(pair))  # pyright: ignore[reportArgumentType]
        unit.require_of(landmark_set, source)
        return unit


def unit_of(header: Mapping[str, Any], landmark_set: LandmarkSet, source: object) -> LengthUnit:
    """The unit that a header or a checkpoint states; mm where it states none."""
    return LengthUnit.from_json(header.get("unit"), landmark_set, source)

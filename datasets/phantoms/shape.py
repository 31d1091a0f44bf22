"""The shape of a phantom: 38 landmarks in mm, drawn from statistics measured on real annotations.

The statistics are numbers only: a mean, principal components and what they leave over. Pose and size
of the head are part of them, since only the centroid of each face is taken away before measuring. The
cases measured are named in the file: X-rays that train, none that a number is reported on.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.shape_statistics import principal_modes
from transforms.geometry import rotate, warp_points

STATISTICS_FILE = Path(__file__).parent / "cl38_statistics.json"
_FORMAT = "cephdetr-shape-statistics-2"
_TAIL = 2.5  # standard deviations at which a draw is cut, so that no phantom is a monster


@dataclass(frozen=True)
class ShapeStatistics:
    """Gaussian of K landmarks in mm about their centroid, and of the centroid in the image."""

    landmark_set: str
    cases: tuple[str, ...]  # names of the N faces measured
    mean_mm: np.ndarray  # (K, 2) relative to the centroid
    components_mm: np.ndarray  # (R, K, 2) principal components, each one standard deviation long
    residual_mm: np.ndarray  # (K, 2) standard deviation that the components leave over
    centroid_mean: np.ndarray  # (2,) centroid as a share of the image height, from the top left
    centroid_std: np.ndarray  # (2,)

    @classmethod
    def measure(
        cls,
        points_mm: np.ndarray,
        heights_mm: np.ndarray,
        cases: Sequence[str],
        *,
        landmark_set: str,
        explained: float = 0.98,
    ) -> "ShapeStatistics":
        """Statistics of complete cases.

        points_mm: (N, K, 2) from the top left of each image; heights_mm: (N,) of the images; cases: N names;
        explained: share of the variance that goes into components, the rest into ``residual_mm``.
        """
        if len(points_mm) < 3 or not np.isfinite(points_mm).all():
            raise ValueError(
                f"{len(points_mm)} complete cases, expected at least 3 without missing landmarks."
            )
        centroids = points_mm.mean(1)
        faces = points_mm - centroids[:, None]  # (N, K, 2)
        components, residual = principal_modes(faces - faces.mean(0), explained)
        shares = centroids / heights_mm[:, None]
        return cls(
            landmark_set=landmark_set,
            cases=tuple(cases),
            mean_mm=faces.mean(0),
            components_mm=components,
            residual_mm=residual,
            centroid_mean=shares.mean(0),
            centroid_std=shares.std(0),
        )

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """(K, 2) landmarks of one new face in mm about the centroid."""
        weights = rng.standard_normal(len(self.components_mm)).clip(-_TAIL, _TAIL)
        noise = rng.standard_normal(self.mean_mm.shape).clip(-_TAIL, _TAIL)
        return self.mean_mm + np.tensordot(weights, self.components_mm, 1) + noise * self.residual_mm

    def to_dict(self) -> dict:
        arrays = {name: np.round(getattr(self, name), 3).tolist() for name in _ARRAYS}
        shares = {name: np.round(getattr(self, name), 4).tolist() for name in _SHARES}
        return {
            "format": _FORMAT,
            "landmark_set": self.landmark_set,
            "cases": list(self.cases),
            **arrays,
            **shares,
        }


_ARRAYS = ("mean_mm", "components_mm", "residual_mm")
_SHARES = ("centroid_mean", "centroid_std")


def load_statistics(file: Path = STATISTICS_FILE) -> ShapeStatistics:
    """Read a file that ``tools/measure_landmark_statistics.py`` wrote."""
    data = json.loads(file.read_text(encoding="utf-8-sig"))
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise ValueError(
            f"{file}: expected format {_FORMAT!r}. Write it with tools/measure_landmark_statistics.py."
        )
    arrays = {name: np.array(data[name], np.float64) for name in (*_ARRAYS, *_SHARES)}
    return ShapeStatistics(landmark_set=data["landmark_set"], cases=tuple(data["cases"]), **arrays)


def place(
    statistics: ShapeStatistics,
    rng: np.random.Generator,
    *,
    width_mm: float,
    height_mm: float,
    margin_mm: float,
) -> np.ndarray:
    """(K, 2) landmarks in mm from the top left of a film, all at least ``margin_mm`` inside it.

    A face is drawn, turned by up to 5 degrees and resized by up to 6 %, on top of the pose and size
    that vary in the statistics themselves, and set where faces sit on real films.
    """
    turn = rotate(rng.uniform(-5.0, 5.0))
    face = warp_points(statistics.draw(rng) * rng.uniform(0.94, 1.06), turn)
    where = rng.normal(statistics.centroid_mean, statistics.centroid_std) * height_mm
    points = face + where
    film = np.array([width_mm, height_mm])
    low = (margin_mm - points.min(0)).clip(min=0.0)
    high = (points.max(0) - (film - margin_mm)).clip(min=0.0)
    return points + low - high


@dataclass(frozen=True)
class Face:
    """Named landmarks of one face and the frame of its head, for drawing structures through them."""

    points: dict[str, np.ndarray]  # abbreviation -> (2,) mm from the top left of the film

    @classmethod
    def of(cls, points_mm: np.ndarray, landmark_set: LandmarkSet) -> "Face":
        return cls(dict(zip(landmark_set.abbreviations, points_mm, strict=True)))

    def __getitem__(self, abbreviation: str) -> np.ndarray:
        return self.points[abbreviation]

    @cached_property
    def forward(self) -> np.ndarray:
        """(2,) sella to nasion, scaled so that one unit is one mm of an average head (59 mm)."""
        return (self["N"] - self["S"]) / 59.0

    @cached_property
    def down(self) -> np.ndarray:
        """(2,) at a right angle to ``forward``, towards the neck."""
        return np.array([-self.forward[1], self.forward[0]])

    def near(self, abbreviation: str, forward: float, down: float) -> np.ndarray:
        """(2,) mm: the point this many head millimetres before and below a landmark."""
        return self[abbreviation] + forward * self.forward + down * self.down

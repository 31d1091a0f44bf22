"""Phantoms: synthetic lateral cephalograms with exact landmarks, the data set that needs no download.

A case is a pure function of (seed, index): its shape, its anatomy and its film each draw from a stream
of their own, so another image size shows the same head.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.boxes.geometry import areas
from datasets.boxes.objects import BoxRecord
from datasets.landmarks.landmark_set import LandmarkSet, load_landmark_set
from datasets.phantoms.anatomy import anatomy
from datasets.phantoms.drawing import Structure
from datasets.phantoms.film import apparatus, render
from datasets.phantoms.parts import part_boxes
from datasets.phantoms.shape import Face, load_statistics, place
from datasets.prepared.writer import PreparedCase

_ASPECT = 1935 / 2400  # width to height of the films that the statistics come from
_FILM_HEIGHT_MM = 240.0
_MARGIN_MM = 3.0  # no landmark is nearer to the edge of the film
_SMALLEST = 64


class Phantom:
    """Seeded generator of cases, with landmarks or with boxes.

    size: image height in pixels, the width follows; missing: share of landmarks left unannotated.
    """

    def __init__(self, size: int = 640, seed: int = 0, missing: float = 0.02) -> None:
        if size < _SMALLEST:
            raise ValueError(f"phantom size {size}: expected an image height of at least {_SMALLEST} pixels.")
        if seed < 0:
            raise ValueError(f"phantom seed {seed}: expected 0 or more.")
        if not 0.0 <= missing < 1.0:
            raise ValueError(f"share of missing landmarks {missing}: expected at least 0 and below 1.")
        self.size = size
        self.seed = seed
        self.missing = missing
        self._statistics = load_statistics()
        self._landmark_set = load_landmark_set(self._statistics.landmark_set)

    @property
    def landmark_set(self) -> LandmarkSet:
        return self._landmark_set

    def case(self, index: int) -> PreparedCase:
        """Case number ``index``, from 0."""
        head = self._head(index)
        points = head.points_mm / head.spacing
        points[head.missing_rng.random(len(points)) < self.missing] = np.nan
        return PreparedCase(
            name=f"phantom_{index:05d}",
            image=render(head.structures, head.size, head.spacing, head.film_rng),
            points=points,
            spacing=np.array([head.spacing, head.spacing]),
            source_file=f"phantom seed {self.seed} case {index}",
            source_size=head.size,
        )

    def boxes(self, index: int) -> BoxRecord:
        """Teeth and bones of case number ``index`` as boxes, labels as in ``PART_CLASSES``; not drawn yet."""
        head = self._head(index)
        boxes, labels = part_boxes(head.structures, head.size, head.spacing)
        return BoxRecord(
            file=Path(f"phantom_{index:05d}.png"),
            size=head.size,
            boxes=boxes,
            labels=labels,
            ignored=np.zeros(len(labels), bool),
            areas=areas(boxes),
            spacing=np.array([head.spacing, head.spacing]),
            image_id=index,
        )

    def image(self, index: int) -> np.ndarray:
        """(H, W) uint8: the film of case number ``index``."""
        head = self._head(index)
        return render(head.structures, head.size, head.spacing, head.film_rng)

    def _head(self, index: int) -> "_Head":
        streams = np.random.SeedSequence([self.seed, index]).spawn(4)
        shape_rng, anatomy_rng, film_rng, missing_rng = (np.random.default_rng(stream) for stream in streams)
        height_mm = _FILM_HEIGHT_MM * shape_rng.uniform(0.94, 1.08)
        spacing = height_mm / self.size
        size = (round(self.size * _ASPECT), self.size)
        points_mm = place(
            self._statistics,
            shape_rng,
            width_mm=height_mm * _ASPECT,
            height_mm=height_mm,
            margin_mm=_MARGIN_MM,
        )
        face = Face.of(points_mm, self._landmark_set)
        structures = [*anatomy(face, anatomy_rng), *apparatus(face, anatomy_rng)]
        return _Head(structures, points_mm, size, spacing, film_rng, missing_rng)


@dataclass(frozen=True)
class _Head:
    """What is on a film, before it is drawn."""

    structures: list[Structure]
    points_mm: np.ndarray  # (K, 2)
    size: tuple[int, int]  # (width, height) in pixels
    spacing: float  # mm per pixel
    film_rng: np.random.Generator
    missing_rng: np.random.Generator

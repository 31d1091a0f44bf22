"""Reading the prepared layout, the one form in which every data set reaches training and evaluation.

``DIR/dataset.json`` says which landmarks, labels and sources; ``DIR/annotations/SPLIT.json`` holds
COCO keypoints; ``DIR/images/CASE.png`` the images. ``docs/data.md`` describes the fields.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.shape_statistics import shape_modes
from datasets.landmarks.unit import unit_of
from datasets.prepared.case import INDEX_TO_CONTINUOUS, PreparedCase
from datasets.prepared.drawn import DrawnCases
from datasets.prepared.records import Record, read_records
from datasets.prepared.subsets import read_header, read_png, read_subset, repeated_cases
from datasets.prepared.writer import PreparedWriter, write_prepared
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.geometry import blank, pixel_shape, warp_points
from transforms.sample import PointSample
from transforms.shape_modes import ShapeModes

__all__ = [
    "INDEX_TO_CONTINUOUS",
    "PreparedCase",
    "PreparedDataset",
    "PreparedWriter",
    "mean_shape",
    "require_spacing",
    "write_prepared",
]


class PreparedDataset(DrawnCases[PointSample]):
    """One split of a prepared folder; the prepared image is the source that ``to_source`` leads to.

    ``subset`` is a split of the folder, or ``train@1/5`` or ``val@1/5``: the images of train and val dealt
    anew, into all folds but the first of five, and into that one (``datasets.prepared.splits.Fold``).

    ``repeated``: the cases whose X-ray train or val has too, under another name
    (``datasets.prepared.repeats``).

    Where ``transforms`` draw other shapes, they learn how the shapes of this subset vary.

    Augmentation is a pure function of (seed, draw, index): ``dataset[index, draw]`` is the same on
    every machine and in every worker, and ``dataset[index]`` is draw 0.

    Raises ValueError at construction for everything that the annotations can show to be wrong, and at
    ``load`` for an image that cannot be decoded or is not of the size stated.
    """

    def __init__(
        self,
        folder: str | Path,
        subset: str,
        transforms: Callable[[Any, np.random.Generator], Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.folder = Path(folder)
        self.subset = subset
        self.transforms = transforms
        self.seed = seed
        header = read_header(self.folder)
        self.landmark_set = LandmarkSet.from_dict(
            header["landmark_set"], source=str(self.folder / "dataset.json")
        )
        self.labels = str(header["labels"])
        self.unit = unit_of(header, self.landmark_set, self.folder / "dataset.json")
        self.landmark_shapes = header.get("landmark_shapes")  # plain data, of its readers; None: not known
        read = partial(read_records, landmark_set=self.landmark_set)
        self._records = read_subset(self.folder, subset, header, read)
        self.cases = tuple(record.file.stem for record in self._records)
        self.spacings = tuple(record.spacing for record in self._records)  # mm per pixel, NaN where unknown
        self.repeated = repeated_cases(header, self.cases)
        if isinstance(transforms, TrainTransforms) and transforms.flip:
            self._require_sides()
        if isinstance(transforms, TrainTransforms) and transforms.shape_modes:
            transforms.learn(self.shape_modes(transforms.letterbox))

    def __len__(self) -> int:
        return len(self._records)

    def load(self, index: int) -> PointSample:
        """Case ``index`` as prepared, before any transform."""
        record = self._records[index]
        return self._sample(record, read_png(record.file, record.size))

    def without_pixels(self, index: int) -> PointSample:
        """Like ``dataset[index]`` but black: where the landmarks go, without reading or resampling a file."""
        record = self._records[index]
        return self._transformed(self._sample(record, blank(record.size)), index, 0)

    def with_spacing(self, index: int) -> PointSample:
        """Like ``without_pixels``, for lengths in mm. Raises ValueError where the spacing is unknown, and
        where the folder's unit of length is another.
        """
        sample = self.without_pixels(index)
        if self.unit.of is not None:
            raise ValueError(f"{self.folder}: lengths in {self.unit.name}, expected mm. Prepare it with mm.")
        if not np.isfinite(sample.spacing).all():
            raise ValueError(f"{self.folder}: spacing of {sample.case} unknown, expected mm per pixel.")
        return sample

    def _require_sides(self) -> None:
        for name, other in self.landmark_set.unpaired_sides():
            raise ValueError(
                f"{self.folder}: {name} and {other} are no pair of the set, so that a mirror image would not "
                "exchange them. Add them to its pairs, or train without flips (flip=0)."
            )
        if not self.landmark_set.pairs:
            raise ValueError(
                f"{self.folder}: its landmark set names no pairs, so that a mirror image's left and right "
                "are not told. Add them to the set ('pairs', docs/data.md), or train without flips (flip=0)."
            )

    def _sample(self, record: Record, image: np.ndarray) -> PointSample:
        return PointSample(
            image=image,
            points=record.points.copy(),
            spacing=self._units_per_pixel(record),
            to_source=np.eye(3),
            case=record.file.stem,
            pairs=self.landmark_set.pairs,
            unit=self.unit.name,
        )

    def _units_per_pixel(self, record: Record) -> np.ndarray:
        names = self.landmark_set.landmarks
        return self.unit.per_pixel(record.points, record.size, record.spacing, names).copy()

    def shows_unit(self, index: int, points: np.ndarray) -> bool:
        """Whether case ``index`` would have a unit of length if its landmarks were (K, 2) ``points``."""
        record, names = self._records[index], self.landmark_set.landmarks
        return bool(np.isfinite(self.unit.per_pixel(points, record.size, record.spacing, names)).all())

    @property
    def units_per_pixel(self) -> tuple[np.ndarray, ...]:
        """(2,) of ``unit`` a prepared pixel along x and y, of each case; NaN where unknown."""
        return tuple(self._units_per_pixel(record) for record in self._records)

    @property
    def source_points(self) -> np.ndarray:
        """(N, K, 2) landmarks of each case in prepared pixels; NaN where missing."""
        return np.stack([record.points for record in self._records])

    def shape_modes(self, letterbox: EvalTransforms) -> ShapeModes:
        """How the shapes of this subset vary on the canvas of ``letterbox``.

        Raises ValueError where they are too few to tell.
        """
        samples = [self._sample(record, blank(record.size)) for record in self._records]
        shapes = [warp_points(sample.points, letterbox.matrix(sample)) for sample in samples]
        return shape_modes(np.stack(shapes), f"{self.folder}: {self.subset!r}")

    @property
    def sizes(self) -> np.ndarray:
        """(N, 2) width and height of each image, in square pixels of the area of its own."""
        return np.array([record.size * pixel_shape(record.spacing) for record in self._records])


def require_spacing(dataset: PreparedDataset) -> None:
    """Raise ValueError if a case has no known unit of length: losses and errors need it."""
    for case, units in zip(dataset.cases, dataset.units_per_pixel, strict=True):
        if (np.isfinite(units) & (units > 0)).all():
            continue
        where = f"{dataset.folder}: case {case!r} of {dataset.subset!r}"
        if dataset.unit.of is None:
            raise ValueError(
                f"{where} has spacing {units.tolist()}, expected mm per pixel. Give the spacing when "
                "preparing the data, or measure in percent (import_annotations.py --unit 'image height')."
            )
        raise ValueError(
            f"{where} does not show the length of {dataset.unit.name!r}. Annotate both of its landmarks, or "
            "choose another unit when preparing the data."
        )


def mean_shape(dataset: PreparedDataset) -> np.ndarray:
    """(K, 2) mean landmark positions, normalised by the canvas that ``dataset.transforms`` gives.

    Raises ValueError for a landmark that no case of the split has.
    """
    samples = (dataset.without_pixels(index) for index in range(len(dataset)))
    shapes = np.stack([sample.points / np.array(sample.size) for sample in samples])  # (N, K, 2)
    absent = np.flatnonzero(np.isnan(shapes).any(-1).all(0))
    if len(absent):
        names = [dataset.landmark_set.landmarks[index] for index in absent]
        raise ValueError(
            f"{dataset.folder}: no case of {dataset.subset!r} has {names}, so they have no mean position. "
            "Annotate them in at least one case, or use a landmark set without them."
        )
    return np.nanmean(shapes, axis=0)

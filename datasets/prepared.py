"""Reading the prepared layout, the one form in which every data set reaches training and evaluation.

``DIR/dataset.json`` says which landmarks, labels and sources; ``DIR/annotations/SPLIT.json`` holds
COCO keypoints; ``DIR/images/CASE.png`` the images. ``docs/data.md`` describes the fields.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch.utils.data import Dataset

from datasets.landmarks import LandmarkSet
from datasets.prepared_case import INDEX_TO_CONTINUOUS, PreparedCase, check_points, check_spacing
from datasets.prepared_writer import FORMAT, PreparedWriter, write_prepared
from datasets.sample import Sample

__all__ = [
    "INDEX_TO_CONTINUOUS",
    "PreparedCase",
    "PreparedDataset",
    "PreparedWriter",
    "mean_shape",
    "write_prepared",
]

_PNG_END = b"IEND\xaeB`\x82"  # last chunk of every whole PNG file


@dataclass(frozen=True)
class _Record:
    """One image of a split as its annotation file describes it."""

    file: Path
    size: tuple[int, int]  # (width, height)
    points: np.ndarray  # (K, 2) continuous pixels, NaN where missing
    spacing: np.ndarray  # (2,) mm per pixel, NaN where unknown


class PreparedDataset(Dataset[Sample]):
    """One split of a prepared folder; the prepared image is the source that ``to_source`` leads to.

    Augmentation is a pure function of (seed, draw, index): ``dataset[index, draw]`` is the same on
    every machine and in every worker, and ``dataset[index]`` is draw 0.

    Raises ValueError at construction for everything that the annotations can show to be wrong, and at
    ``load`` for an image that cannot be decoded or is not of the size stated.
    """

    def __init__(
        self,
        folder: str | Path,
        subset: str,
        transforms: Callable[[Sample, np.random.Generator], Sample] | None = None,
        seed: int = 0,
    ) -> None:
        self.folder = Path(folder)
        self.subset = subset
        self.transforms = transforms
        self.seed = seed
        header = _read_header(self.folder)
        self.landmark_set = LandmarkSet.from_dict(
            header["landmark_set"], source=str(self.folder / "dataset.json")
        )
        self.labels = str(header["labels"])
        self._records = _read_split(self.folder, subset, header["split"], self.landmark_set)
        self.cases = tuple(record.file.stem for record in self._records)

    def __len__(self) -> int:
        return len(self._records)

    def load(self, index: int) -> Sample:
        """Case ``index`` as prepared, before any transform."""
        record = self._records[index]
        return _sample(record, _read_png(record.file, record.size))

    def __getitem__(self, key: int | tuple[int, int]) -> Sample:
        index, draw = key if isinstance(key, tuple) else (key, 0)
        return self._transformed(self.load(index), index, draw)

    def without_pixels(self, index: int) -> Sample:
        """Like ``dataset[index]`` but from a black image: where the landmarks go, without reading a file."""
        record = self._records[index]
        return self._transformed(_sample(record, np.zeros(record.size[::-1], np.uint8)), index, 0)

    def _transformed(self, sample: Sample, index: int, draw: int) -> Sample:
        if self.transforms is None:
            return sample
        return self.transforms(sample, np.random.default_rng([self.seed, draw, index]))


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


def _sample(record: _Record, image: np.ndarray) -> Sample:
    return Sample(image, record.points.copy(), record.spacing.copy(), np.eye(3), record.file.stem)


def _read_header(folder: Path) -> dict[str, Any]:
    """``dataset.json`` as a dict that has at least landmark_set, labels and split."""
    file = folder / "dataset.json"
    if not file.is_file():
        raise ValueError(
            f"{folder}: no dataset.json, so not a prepared folder. Make one with tools/prepare_*.py."
        )
    header = _read_json(file)
    if header.get("format") != FORMAT:
        raise ValueError(
            f"{file}: format {header.get('format')!r}, expected {FORMAT!r}. Prepare the data anew."
        )
    absent = {"landmark_set", "labels", "split"} - header.keys()
    if absent or not isinstance(header["split"], dict):
        raise ValueError(f"{file}: {sorted(absent) or 'split'} not as written. Prepare the data anew.")
    return header


def _read_split(
    folder: Path, subset: str, split: dict[str, list], landmark_set: LandmarkSet
) -> tuple[_Record, ...]:
    if subset not in split:
        raise ValueError(f"{folder}: no subset {subset!r}; those there: {sorted(split)}.")
    file = folder / "annotations" / f"{subset}.json"
    data = _read_json(file)
    try:
        annotations = {annotation["image_id"]: annotation for annotation in data["annotations"]}
        records = tuple(
            _read_record(folder, image, annotations[image["id"]], landmark_set, file)
            for image in data["images"]
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{file}: {error!r} missing or of a wrong kind. Compare with docs/data.md."
        ) from error
    if not records:
        raise ValueError(f"{file}: no image, expected at least one. Choose another subset than {subset!r}.")
    names = [record.file.stem for record in records]
    if sorted(names) != sorted(map(str, split[subset])):
        differing = sorted(set(names) ^ set(split[subset])) or "a case listed twice"
        raise ValueError(
            f"{file}: not the cases that dataset.json lists ({differing}). Prepare the data anew."
        )
    return records


def _read_record(
    folder: Path, image: dict, annotation: dict, landmark_set: LandmarkSet, file: Path
) -> _Record:
    path, size = folder / "images" / image["file_name"], (int(image["width"]), int(image["height"]))
    where = f"{file}: case {path.stem!r}"
    if not path.is_file():
        raise ValueError(f"{where}: {path} is missing. Prepare the data anew.")
    values = np.asarray(annotation["keypoints"], np.float64)
    if values.size % 3:
        raise ValueError(
            f"{where}: {values.size} numbers in keypoints, expected x, y, visibility a landmark."
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"{where}: keypoints hold NaN or infinity, expected numbers. Write a missing one as 0, 0, 0."
        )
    keypoints = values.reshape(-1, 3)
    points = np.where(keypoints[:, 2:] > 0, keypoints[:, :2] + INDEX_TO_CONTINUOUS, np.nan)
    check_points(points, size, landmark_set, where)
    stated = image.get("spacing")
    spacing = np.full(2, np.nan) if stated is None else np.asarray(stated, np.float64)
    if stated is not None and np.isnan(spacing).any():
        raise ValueError(f"{where}: spacing {stated}, expected two positive numbers, or null where unknown.")
    check_spacing(spacing, where)
    return _Record(path, size, points, spacing)


def _read_png(file: Path, size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8 grey. OpenCV fills up a truncated file without a word, so its end is looked at."""
    data = file.read_bytes()
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if image is None or not data.endswith(_PNG_END):
        raise ValueError(f"{file}: not a whole PNG image ({len(data)} bytes). Prepare the data anew.")
    if image.shape[::-1] != size:
        raise ValueError(
            f"{file}: {image.shape[1]}x{image.shape[0]} pixels, annotated as {size[0]}x{size[1]}."
        )
    return image


def _read_json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror}). Prepare the data anew.") from error
    except ValueError as error:
        raise ValueError(f"{file}: not valid JSON ({error}). Prepare the data anew.") from error
    if not isinstance(data, dict):
        raise ValueError(f"{file}: a {type(data).__name__}, expected a JSON object.")
    return data

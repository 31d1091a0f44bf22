"""What a prepared folder says about the landmarks of its images, checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.case import INDEX_TO_CONTINUOUS, check_points
from datasets.prepared.subsets import image_of


@dataclass(frozen=True)
class Record:
    """One image of a split as its annotation file describes it."""

    file: Path
    size: tuple[int, int]  # (width, height)
    points: np.ndarray  # (K, 2) continuous pixels, NaN where missing
    spacing: np.ndarray  # (2,) mm per pixel, NaN where unknown


def read_records(file: Path, data: dict[str, Any], landmark_set: LandmarkSet) -> tuple[Record, ...]:
    """The images of an annotation file, one annotation each."""
    annotations = {annotation["image_id"]: annotation for annotation in data["annotations"]}
    return tuple(
        _read_record(image, annotations[image["id"]], landmark_set, file) for image in data["images"]
    )


def _read_record(image: dict, annotation: dict, landmark_set: LandmarkSet, file: Path) -> Record:
    path, size, spacing, where = image_of(image, file)
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
    return Record(path, size, points, spacing)

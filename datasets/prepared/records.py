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
    """The images of an annotation file, one annotation each, their landmarks in the order of the set.

    Raises ValueError for two annotations of one image, and for names that are not those of the set.
    """
    order = _order_of_names(file, data, landmark_set)
    annotations: dict[int, dict[str, Any]] = {}
    for annotation in data["annotations"]:
        number = annotation["image_id"]
        if number in annotations:
            raise ValueError(
                f"{file}: image {number} is annotated twice, expected once. Remove one of the two."
            )
        annotations[number] = annotation
    return tuple(
        _read_record(image, annotations[image["id"]], landmark_set, order, file) for image in data["images"]
    )


def _order_of_names(file: Path, data: dict[str, Any], landmark_set: LandmarkSet) -> list[int] | None:
    """For each landmark of the set, its place among the file's names; None where the file has no names."""
    names = next((category.get("keypoints") for category in data.get("categories", ())), None)
    if names is None:
        return None
    if sorted(names) != sorted(landmark_set.landmarks):
        absent = [name for name in landmark_set.landmarks if name not in names]
        unknown = [name for name in names if name not in landmark_set.landmarks]
        raise ValueError(
            f"{file}: its keypoint names lack {absent} and hold {unknown}, which the set "
            f"{landmark_set.name!r} of dataset.json has not. Make them agree."
        )
    return [names.index(name) for name in landmark_set.landmarks]


def _read_record(
    image: dict, annotation: dict, landmark_set: LandmarkSet, order: list[int] | None, file: Path
) -> Record:
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
    if order is not None and len(keypoints) == len(order):
        keypoints = keypoints[order]
    points = np.where(keypoints[:, 2:] > 0, keypoints[:, :2] + INDEX_TO_CONTINUOUS, np.nan)
    check_points(points, size, landmark_set, where)
    return Record(path, size, points, spacing)

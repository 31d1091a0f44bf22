"""Writing the prepared layout of landmarks: COCO-keypoints JSON and flat CSV a split, with its images.

In files, coordinates are in the index convention of the published data sets (the centre of the top-left
pixel is (0, 0)); in memory they are continuous (``transforms.geometry``). See ``docs/data.md``.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.unit import LengthUnit
from datasets.prepared.case import INDEX_TO_CONTINUOUS, PreparedCase, check_case
from datasets.prepared.folder import CaseWriter, PreparedFolder, write_json

_COORDINATES = "index: x to the right, y down, in pixels; the centre of the top-left pixel is (0, 0)"
_DECIMALS = 4  # of a pixel, in files


class PreparedWriter(CaseWriter):
    """Streams cases into a prepared folder, which appears, whole, only when the ``with`` block succeeds.

    Raises ValueError when ``folder`` holds something already, and for a case that is unsound or was already
    given. Repeated X-rays are named, see ``datasets.prepared.folder``.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        landmark_set: LandmarkSet,
        labels: str,
        created_by: str,
        source_files: Mapping[str, str],
        seed: int | None = None,
        landmark_shapes: Mapping[str, Any] | None = None,
        unit: LengthUnit | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """``landmark_shapes``: which way the readers are unsure, where it is known (docs/measurements.md).

        ``unit``: what lengths are measured in; None: mm. ``about``: what else ``dataset.json`` tells, such as
        ``persons``, whose cases folds keep together.
        """
        self._folder = PreparedFolder(folder)
        self._set = landmark_set
        self._records: dict[str, list[tuple[PreparedCase, tuple[int, int]]]] = {}  # image dropped, size kept
        self._header = {
            "landmark_set": landmark_set.to_dict(),
            "labels": labels,
            "created_by": created_by,
            "source_files": dict(source_files),
            "seed": seed,
            "coordinates": _COORDINATES,
            **(about or {}),
        }
        if unit is not None and unit.of is not None:
            unit.require_of(landmark_set, folder)
            self._header["unit"] = unit.to_json()
        if landmark_shapes is not None:
            self._header["landmark_shapes"] = dict(landmark_shapes)

    def add(self, split: str, case: PreparedCase) -> None:
        """Write the image of ``case`` now and keep its numbers for ``split``."""
        self._folder.check_name(split, case.name)
        check_case(case, self._set, f"case {case.name!r}")
        self._folder.add_image(split, case.name, case.image)
        size = case.image.shape[1], case.image.shape[0]
        record = replace(case, image=np.empty((0, 0), np.uint8))
        self._records.setdefault(split, []).append((record, size))

    def _finish(self) -> None:
        for split, records in self._records.items():
            stem = self._folder.partial / "annotations" / split
            write_json(stem.with_suffix(".json"), _coco(records, self._set))
            _write_csv(stem.with_suffix(".csv"), records, len(self._set))
        self._folder.finish(self._header)


def write_prepared(
    folder: str | Path,
    cases_by_split: Mapping[str, Iterable[PreparedCase]],
    *,
    landmark_set: LandmarkSet,
    labels: str,
    created_by: str,
    source_files: Mapping[str, str],
    seed: int | None = None,
    landmark_shapes: Mapping[str, Any] | None = None,
    unit: LengthUnit | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write a whole prepared folder, or nothing; one image is in memory at a time.

    ``source_files`` maps names to SHA-256. Raises ValueError as ``PreparedWriter`` does, and for an
    empty split.
    """
    writer = PreparedWriter(
        folder,
        landmark_set=landmark_set,
        labels=labels,
        created_by=created_by,
        source_files=source_files,
        seed=seed,
        landmark_shapes=landmark_shapes,
        unit=unit,
        about=about,
    )
    writer.write(cases_by_split)


def _coco(
    records: Sequence[tuple[PreparedCase, tuple[int, int]]], landmark_set: LandmarkSet
) -> dict[str, Any]:
    """COCO keypoints: visibility 2 where annotated; x, y and visibility 0 where missing."""
    images, annotations = [], []
    for number, (case, (width, height)) in enumerate(records, start=1):
        spacing = None if np.isnan(case.spacing).any() else case.spacing.tolist()
        image = {"id": number, "file_name": f"{case.name}.png", "width": width, "height": height}
        source = dict(zip(("source_width", "source_height"), case.source_size, strict=True))
        images.append({**image, "spacing": spacing, "source_file": case.source_file, **source})
        present = np.isfinite(case.points[:, 0])
        pixels = np.where(present[:, None], _to_file(case.points), 0.0)
        keypoints = [
            value
            for (x, y), seen in zip(pixels.tolist(), present, strict=True)
            for value in (x, y, 2 * int(seen))
        ]
        annotation = {"id": number, "image_id": number, "category_id": 1, "keypoints": keypoints}
        annotations.append({**annotation, "num_keypoints": int(present.sum())})
    category = {"id": 1, "name": landmark_set.name, "keypoints": list(landmark_set.landmarks)}
    return {"images": images, "annotations": annotations, "categories": [category]}


def _write_csv(
    file: Path, records: Sequence[tuple[PreparedCase, tuple[int, int]]], num_landmarks: int
) -> None:
    """One row a case: file, mean spacing in mm per pixel, then x and y; empty where missing or unknown."""
    header = ["file", "scale", *(f"p{k}{axis}" for k in range(1, num_landmarks + 1) for axis in "xy")]
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(header)
        for case, _ in records:
            numbers = [float(case.spacing.mean()), *_to_file(case.points).ravel().tolist()]
            rows.writerow([f"{case.name}.png", *("" if np.isnan(value) else value for value in numbers)])


def _to_file(points: np.ndarray) -> np.ndarray:
    """(K, 2) continuous -> index coordinates as they are written."""
    return np.round(points - INDEX_TO_CONTINUOUS, _DECIMALS)

"""Writing the prepared layout: images, COCO-keypoints JSON and flat CSV per split, ``dataset.json``.

In files, coordinates are in the index convention of the published data sets (the centre of the top-left
pixel is (0, 0)); in memory they are continuous (``transforms.geometry``). See ``docs/data.md``.
"""

import csv
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.case import INDEX_TO_CONTINUOUS, PreparedCase, check_case
from datasets.prepared.repeats import find_repeats, fingerprint

logger = logging.getLogger(__name__)
FORMAT = "cephdetr-prepared-1"
_COORDINATES = "index: x to the right, y down, in pixels; the centre of the top-left pixel is (0, 0)"
_DECIMALS = 4  # of a pixel, in files


class PreparedWriter:
    """Streams cases into a prepared folder, which appears, whole, only when the ``with`` block succeeds.

    Everything is built in a hidden sibling folder and renamed at the end. Raises ValueError when
    ``folder`` holds something already, and for a case that is unsound or was already given.

    X-rays that come twice (``datasets.prepared.repeats``) are written down, and warned of where two splits
    have them.
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
    ) -> None:
        self.folder = Path(folder).absolute()
        self._partial = self.folder.with_name(f".{self.folder.name}.{os.getpid()}.partial")
        self._set = landmark_set
        self._records: dict[str, list[tuple[PreparedCase, tuple[int, int]]]] = {}  # image dropped, size kept
        self._split_of: dict[str, str] = {}
        self._fingerprints: dict[str, np.ndarray] = {}
        self._header = {
            "format": FORMAT,
            "landmark_set": landmark_set.to_dict(),
            "labels": labels,
            "created_by": created_by,
            "source_files": dict(source_files),
            "seed": seed,
            "coordinates": _COORDINATES,
        }

    def __enter__(self) -> "PreparedWriter":
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ValueError(
                f"{self.folder}: already there and not empty. Give a new folder, or remove this one."
            )
        shutil.rmtree(self._partial, ignore_errors=True)
        for name in ("images", "annotations"):
            (self._partial / name).mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)  # renamed away by then, when all went well

    def add(self, split: str, case: PreparedCase) -> None:
        """Write the image of ``case`` now and keep its numbers for ``split``."""
        for name in (split, case.name):
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
                raise ValueError(
                    f"case {case.name!r} of {split!r}: names may hold letters, digits, '.', '_' and '-'."
                )
        if case.name in self._split_of:
            other = self._split_of[case.name]
            raise ValueError(
                f"case {case.name!r}: given for {split!r} and before for {other!r}, expected once."
            )
        check_case(case, self._set, f"case {case.name!r}")
        encoded = cv2.imencode(".png", case.image)[1]
        (self._partial / "images" / f"{case.name}.png").write_bytes(encoded.tobytes())
        size = case.image.shape[1], case.image.shape[0]
        record = replace(case, image=np.empty((0, 0), np.uint8))
        self._records.setdefault(split, []).append((record, size))
        self._split_of[case.name] = split
        self._fingerprints[case.name] = fingerprint(case.image)

    def _finish(self) -> None:
        if not self._records:
            raise ValueError(f"{self.folder}: no case to write, expected at least one.")
        for split, records in self._records.items():
            stem = self._partial / "annotations" / split
            _write_json(stem.with_suffix(".json"), _coco(records, self._set))
            _write_csv(stem.with_suffix(".csv"), records, len(self._set))
        split = {name: [case.name for case, _ in records] for name, records in self._records.items()}
        repeats = find_repeats(self._fingerprints)
        header = {**self._header, "split": split, "repeats": [list(pair) for pair in repeats]}
        _write_json(self._partial / "dataset.json", header)
        os.replace(self._partial, self.folder)
        self._warn_of(repeats)

    def _warn_of(self, repeats: Sequence[tuple[str, str]]) -> None:
        across = [pair for pair in repeats if self._split_of[pair[0]] != self._split_of[pair[1]]]
        if across:
            named = [" = ".join(f"{case} ({self._split_of[case]})" for case in pair) for pair in across]
            more = f" and {len(named) - 5} more" if len(named) > 5 else ""
            logger.warning(
                "%s: %d X-rays are in two splits: %s%s. test.py tells what the others come to.",
                self.folder,
                len(named),
                ", ".join(named[:5]),
                more,
            )


def write_prepared(
    folder: str | Path,
    cases_by_split: Mapping[str, Iterable[PreparedCase]],
    *,
    landmark_set: LandmarkSet,
    labels: str,
    created_by: str,
    source_files: Mapping[str, str],
    seed: int | None = None,
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
    )
    with writer:
        for split, cases in cases_by_split.items():
            count = 0
            for count, case in enumerate(cases, start=1):  # noqa: B007 (counts a stream)
                writer.add(split, case)
            if count == 0:
                raise ValueError(f"{folder}: split {split!r} has no case. Leave it out, or give it one.")


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


def _write_json(file: Path, data: dict[str, Any]) -> None:
    file.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")

"""What a prepared folder says about its images, checked: the files behind ``PreparedDataset``."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.case import INDEX_TO_CONTINUOUS, check_points, check_spacing
from datasets.prepared.splits import Fold
from datasets.prepared.writer import FORMAT

_PNG_END = b"IEND\xaeB`\x82"  # last chunk of every whole PNG file


@dataclass(frozen=True)
class Record:
    """One image of a split as its annotation file describes it."""

    file: Path
    size: tuple[int, int]  # (width, height)
    points: np.ndarray  # (K, 2) continuous pixels, NaN where missing
    spacing: np.ndarray  # (2,) mm per pixel, NaN where unknown


def read_header(folder: Path) -> dict[str, Any]:
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


def read_subset(
    folder: Path, subset: str, header: dict[str, Any], landmark_set: LandmarkSet
) -> tuple[Record, ...]:
    """The records of a split, of a fold of train and val together (``val@1/5``), or a few (``train:25``)."""
    whole, colon, count = subset.rpartition(":")
    if colon:
        return _few(read_subset(folder, whole, header, landmark_set), count, header.get("seed") or 0, subset)
    part, at, text = subset.partition("@")
    if not at:
        return _read_split(folder, subset, header["split"], landmark_set)
    if part not in Fold.PARTS:
        raise ValueError(f"{folder}: subset {subset!r}: only {' and '.join(Fold.PARTS)} have folds.")
    pool = [
        record for name in Fold.PARTS for record in _read_split(folder, name, header["split"], landmark_set)
    ]
    cases = Fold.parse(text).split((record.file.stem for record in pool), header.get("seed") or 0)[part]
    by_case = {record.file.stem: record for record in pool}
    return tuple(by_case[case] for case in cases)


def _few(records: tuple[Record, ...], count: str, seed: int, subset: str) -> tuple[Record, ...]:
    """``count`` records drawn by the data's seed, in order; a smaller draw is part of every larger one."""
    if not count.isdecimal() or not 1 <= int(count) <= len(records):
        raise ValueError(
            f"subset {subset!r}: expected a number of images from 1 to {len(records)} after ':'."
        )
    drawn = np.random.default_rng(seed).permutation(len(records))[: int(count)]
    return tuple(records[index] for index in sorted(drawn))


def _read_split(
    folder: Path, subset: str, split: dict[str, list], landmark_set: LandmarkSet
) -> tuple[Record, ...]:
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
) -> Record:
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
    return Record(path, size, points, spacing)


def read_png(file: Path, size: tuple[int, int]) -> np.ndarray:
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

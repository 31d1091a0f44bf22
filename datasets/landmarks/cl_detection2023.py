"""The CL-Detection 2023 challenge as published: one MHA stack and one JSON, 38 landmarks a slice.

Zhang et al., arXiv 2409.15834. Slices of 2880x2400 hold images of several sizes at the top left, zeros
elsewhere. ``points[]``: ``name`` 1 to 38, ``point`` [x, y, slice] with slices from 1, ``scale`` mm per pixel.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from datasets.files.grey import to_grey8
from datasets.files.image_files import SourceImage
from datasets.files.mha_files import Stack
from datasets.landmarks.landmark_set import load_landmark_set
from datasets.prepared.case import INDEX_TO_CONTINUOUS, PreparedCase, check_points

LANDMARKS = load_landmark_set("cl38")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class SliceAnnotation:
    """What the doctors marked on one slice."""

    points: np.ndarray  # (38, 2) continuous pixels of the slice
    spacing_mm: float  # per pixel, both axes


def read_annotations(file: Path) -> dict[int, SliceAnnotation]:
    """Slice (from 1) -> landmarks and spacing; every slice has all 38, once, with one scale.

    Raises ValueError naming the file and the slice otherwise.
    """
    try:
        entries = json.loads(file.read_text(encoding="utf-8-sig"))["points"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file}: {type(error).__name__}: {error}, expected a JSON object with a list 'points'."
        ) from error
    if not isinstance(entries, list):
        raise ValueError(f"{file}: 'points' is a {type(entries).__name__}, expected a list.")
    found: dict[int, dict[int, tuple[float, float, float]]] = {}
    for entry in entries:
        number, name, values = _read_entry(entry, file)
        if name in found.setdefault(number, {}):
            raise ValueError(f"{file}: slice {number} has landmark {name} twice, expected once. Remove one.")
        found[number][name] = values
    return {number: _assemble(found[number], f"{file}: slice {number}") for number in sorted(found)}


def _read_entry(entry: Any, file: Path) -> tuple[int, int, tuple[float, float, float]]:
    """Slice, landmark and (x, y, scale) of one item of ``points``; names and scales may be strings."""
    try:
        x, y, number = (float(value) for value in entry["point"])
        name, scale = int(str(entry["name"])), float(entry["scale"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file}: {entry!r} ({error!r}), expected name, point [x, y, slice] and scale."
        ) from error
    if not (np.isfinite([x, y, number]).all() and number == int(number) and number >= 1):
        raise ValueError(f"{file}: point {entry['point']}, expected finite x, y and a slice from 1 on.")
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(
            f"{file}: slice {int(number)}, scale {entry['scale']!r}, expected mm per pixel above 0."
        )
    return int(number), name, (x, y, scale)


def _assemble(landmarks: Mapping[int, tuple[float, float, float]], where: str) -> SliceAnnotation:
    expected = set(range(1, len(LANDMARKS) + 1))
    if landmarks.keys() != expected:
        missing, unknown = sorted(expected - landmarks.keys()), sorted(landmarks.keys() - expected)
        raise ValueError(
            f"{where} has {len(landmarks)} landmarks, expected {len(LANDMARKS)}: "
            f"{missing} missing, {unknown} unknown."
        )
    values = np.array([landmarks[name] for name in sorted(landmarks)])
    scales = sorted(set(values[:, 2].tolist()))
    if len(scales) != 1:
        raise ValueError(f"{where} has the scales {scales}, expected one.")
    return SliceAnnotation(values[:, :2] + INDEX_TO_CONTINUOUS, scales[0])


def check_match(stack: Stack, annotations: Mapping[int, SliceAnnotation]) -> None:
    """Raise ValueError unless exactly the slices of ``stack`` are annotated."""
    slices = set(range(1, stack.num_slices + 1))
    bare, beyond = sorted(slices - annotations.keys()), sorted(annotations.keys() - slices)
    if bare or beyond:
        raise ValueError(
            f"{stack.file}: {stack.num_slices} slices, but {len(annotations)} are annotated "
            f"(without annotation: {shortened(bare) or 'none'}; "
            f"annotated beyond the stack: {shortened(beyond) or 'none'}). "
            "Give the stack and the annotations that belong together."
        )


def split_sizes(num_slices: int, given: list[int] | None) -> dict[str, int]:
    """Images per split: ``given``, or 75, 12.5 and 12.5 %. Raises ValueError when they do not sum up."""
    eighth = max(round(num_slices / 8), 1)
    proportional = [num_slices - 2 * eighth, eighth, eighth]
    if num_slices < len(SPLITS):
        raise ValueError(
            f"{num_slices} slices cannot be split into {', '.join(SPLITS)}, expected at least 3."
        )
    sizes = proportional if given is None else given
    if sum(sizes) != num_slices or min(sizes) < 1:
        raise ValueError(
            f"--split {' '.join(map(str, sizes))} sums to {sum(sizes)}, expected the {num_slices} slices. "
            f"Give three positive numbers that sum to it, such as --split {' '.join(map(str, proportional))}."
        )
    return dict(zip(SPLITS, sizes, strict=True))


def read_cases(stack: Stack, annotations: Mapping[int, SliceAnnotation]) -> Iterator[PreparedCase]:
    """Every slice in order, padding removed, as the case named by its number."""
    for number, pixels in enumerate(stack.slices(), start=1):
        annotation, where = annotations[number], f"{stack.file}: slice {number}"
        check_points(annotation.points, pixels.shape[1::-1], LANDMARKS, where)
        image = to_grey8(without_padding(pixels, where, annotation.points))
        yield PreparedCase(
            name=case_name(number),
            image=image,
            points=annotation.points,
            spacing=np.full(2, annotation.spacing_mm),
            source_file=f"{stack.file.name} slice {number}",
            source_size=(image.shape[1], image.shape[0]),
        )


def read_images(stack: Stack) -> Iterator[SourceImage]:
    """Every slice in order, padding removed, for a prediction; coordinates are those of the padded slice."""
    for number, pixels in enumerate(stack.slices(), start=1):
        image = to_grey8(without_padding(pixels, f"{stack.file}: slice {number}"))
        yield SourceImage(image, stack.spacing, stack.file, number)


def case_name(number: int) -> str:
    return f"{number:03d}"


def without_padding(pixels: np.ndarray, where: str, points: np.ndarray | None = None) -> np.ndarray:
    """``pixels`` (H, W[, C]) less the zero rows below and zero columns on the right; the origin stays.

    None of ``points`` (K, 2), continuous, is cut away, even one that lies on the padding. Raises ValueError
    for an empty slice.
    """
    filled = np.any(np.atleast_3d(pixels), axis=-1)  # (H, W)
    rows, columns = np.flatnonzero(np.any(filled, axis=1)), np.flatnonzero(np.any(filled, axis=0))
    if not len(rows):
        raise ValueError(f"{where} is empty, every pixel 0. Is the stack whole?")
    right, below = (0, 0) if points is None else np.ceil(points.max(0)).astype(int)
    return pixels[: max(rows[-1] + 1, below), : max(columns[-1] + 1, right)]


def shortened(numbers: Iterable[int | str]) -> str:
    """The first ten of ``numbers`` for an error message; empty where there is none."""
    first = list(islice(numbers, 11))
    return ", ".join(map(str, first[:10])) + (" ..." if len(first) > 10 else "")

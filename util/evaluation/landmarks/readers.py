"""The labels of prepared folders against each other and against predictions, case by case."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.prepared import PreparedDataset
from datasets.prepared.subsets import read_header
from util.evaluation.landmarks.metrics import Errors


def against_readers(errors: Errors, folder: Path, landmark_set: LandmarkSet) -> Errors:
    """The same predictions, of ``landmark_set``, against the labels of ``folder``.

    Raises ValueError for other landmarks and for a case that it lacks.
    """
    theirs = landmark_set_of(folder)
    if theirs.landmarks != landmark_set.landmarks:
        raise ValueError(
            f"{folder}: the {len(theirs)} landmarks of {theirs.name!r}, expected the {len(landmark_set)} of "
            f"{landmark_set.name!r} in their order. Give a folder of the same landmark set."
        )
    labels = {
        case: places for subset in read_header(folder)["split"] for case, places in _subset_mm(folder, subset)
    }
    if absent := [case for case in errors.cases if case not in labels]:
        raise ValueError(f"{folder}: lacks the cases {absent[:5]}. Prepare it of the same films.")
    places = np.stack([labels[case] for case in errors.cases])  # (N, K, 2)
    return replace(errors, truth=places / errors.spacing[:, None])


def errors_between_readers(first: Path, second: Path, subset: str) -> Errors:
    """One reader's labels in the place of predictions, the second's as the truth; how sure he is, is unknown.

    A landmark that the first lacks is left out as if the second lacked it.
    """
    cases, places = zip(*_subset_mm(first, subset), strict=True)
    found = np.stack(places)
    known = np.isfinite(found)
    errors = Errors(
        cases=tuple(cases),
        predicted=np.where(known, found, 0.0),
        truth=np.full(found.shape, np.nan),
        spacing=np.ones((len(cases), 2)),  # points are in mm already
        uncertainty_mm=np.full(found.shape[:2], np.nan),
    )
    errors = against_readers(errors, second, landmark_set_of(first))
    return replace(errors, truth=np.where(known, errors.truth, np.nan))


def errors_between_markings(folder: Path) -> Errors:
    """The second marking of each X-ray that a folder has twice as the prediction, the first as the truth, in
    the folder's unit; how sure it is, is unknown.

    Raises ValueError when no X-ray comes twice, and for one whose length is unknown.
    """
    header = read_header(folder)
    pairs = header.get("repeats")
    if not pairs:
        why = "no X-ray comes twice" if pairs is not None else "dataset.json does not say; prepare it anew"
        raise ValueError(f"{folder}: {why}, so there are no two markings to compare.")
    labels, unit = _labels_in_unit(folder, {case for pair in pairs for case in pair})
    first, second = (np.stack([labels[pair[side]] for pair in pairs]) for side in (0, 1))
    both = np.isfinite(first) & np.isfinite(second)
    return Errors(
        cases=tuple(" = ".join(pair) for pair in pairs),
        predicted=np.where(both, second, 0.0),
        truth=np.where(both, first, np.nan),
        spacing=np.ones((len(pairs), 2)),  # points are in the unit already
        uncertainty_mm=np.full(first.shape[:2], np.nan),
        unit=unit,
    )


def without_repeats(errors: Errors, folder: Path) -> Errors:
    """Without the X-rays that train or val of ``folder`` has under another name; those of these stay."""
    header = read_header(folder)
    learnt = {case for subset in ("train", "val") for case in header["split"].get(subset, ())}
    pairs = header.get("repeats", ())
    repeated = {
        one for pair in pairs for one, other in (pair, pair[::-1]) if other in learnt and one not in learnt
    }
    return errors.only([case not in repeated for case in errors.cases])


def landmark_set_of(folder: Path) -> LandmarkSet:
    """The landmarks of a prepared folder."""
    return LandmarkSet.from_dict(read_header(folder)["landmark_set"], source=str(folder))


def _labels_in_unit(folder: Path, wanted: Collection[str]) -> tuple[dict[str, np.ndarray], str]:
    """Case -> (K, 2) in the folder's unit, of the cases ``wanted`` in any subset; and the unit's name."""
    parts = [PreparedDataset(folder, subset) for subset in read_header(folder)["split"]]
    labels = {}
    for part in parts:
        for index in (index for index, case in enumerate(part.cases) if case in wanted):
            sample = part.without_pixels(index)
            if not np.isfinite(sample.spacing).all():
                raise ValueError(
                    f"{folder}: spacing of {sample.case} unknown, expected {part.unit.name} per pixel. "
                    "Prepare it with --spacing, or with a --unit that each image shows."
                )
            labels[sample.case] = sample.points * sample.spacing
    return labels, parts[0].unit.name


def _subset_mm(folder: Path, subset: str) -> Iterator[tuple[str, np.ndarray]]:
    """Case -> (K, 2) mm. Raises ValueError where the folder's unit is another."""
    dataset = PreparedDataset(folder, subset)
    for index, case in enumerate(dataset.cases):
        sample = dataset.with_spacing(index)
        yield case, sample.points * sample.spacing

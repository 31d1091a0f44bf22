"""Writing the prepared layout of masks: COCO instances a split, with its images.

Polygons are continuous pixels, as COCO has them; pixels are COCO's compressed run lengths. See
``docs/data.md``.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.masks.case import MaskCase, check_mask_case
from datasets.masks.class_set import ClassSet
from datasets.prepared.folder import CaseWriter, PreparedFolder

_COORDINATES = "continuous: x to the right, y down, in pixels; the centre of the top-left pixel is (0.5, 0.5)"
_DECIMALS = 4  # of a pixel, in files


class MaskWriter(CaseWriter):
    """Streams cases into a prepared folder, which appears, whole, only when the ``with`` block succeeds.

    folds: lists of cases that make up equal parts of train and val together, by the number of parts
    (``datasets.masks.folds``). Raises ValueError as ``PreparedFolder`` does, for a case that is unsound, and
    for a person with images in two splits.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        class_set: ClassSet,
        labels: str,
        created_by: str,
        source_files: Mapping[str, str],
        seed: int | None = None,
        folds: Mapping[str, Sequence[Sequence[str]]] | None = None,
    ) -> None:
        self._folder = PreparedFolder(folder)
        self._set = class_set
        self._cases: dict[str, list[tuple[MaskCase, tuple[int, int]]]] = {}  # image dropped, size kept
        self._split_of_person: dict[str, str] = {}
        self._header = {
            "mask_classes": class_set.to_dict(),
            "labels": labels,
            "created_by": created_by,
            "source_files": dict(source_files),
            "seed": seed,
            "coordinates": _COORDINATES,
            "folds": {count: [list(part) for part in parts] for count, parts in (folds or {}).items()},
        }

    def add(self, split: str, case: MaskCase) -> None:
        """Write the image of ``case`` now and keep its structures for ``split``."""
        check_mask_case(case, self._set, f"case {case.name!r}")
        other = self._split_of_person.setdefault(case.person, split)
        if other != split:
            raise ValueError(
                f"person {case.person!r}: images in {other!r} and in {split!r} ({case.name!r}), expected in "
                "one split: what is learnt of a person must not be tested on the same person."
            )
        self._folder.add_image(split, case.name, case.image)
        self._cases.setdefault(split, []).append((replace(case, image=np.empty((0, 0), np.uint8)), case.size))

    def _finish(self) -> None:
        for split, cases in self._cases.items():
            file = self._folder.partial / "annotations" / f"{split}.json"
            file.write_text(json.dumps(_coco(cases, self._set), allow_nan=False) + "\n", encoding="utf-8")
        persons = {case.name: case.person for cases in self._cases.values() for case, _ in cases}
        self._folder.finish({**self._header, "persons": persons})


def write_masks(
    folder: str | Path,
    cases_by_split: Mapping[str, Iterable[MaskCase]],
    *,
    class_set: ClassSet,
    labels: str,
    created_by: str,
    source_files: Mapping[str, str],
    seed: int | None = None,
    folds: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> None:
    """Write a whole prepared folder, or nothing; one image is in memory at a time.

    ``source_files`` maps names to SHA-256. Raises ValueError as ``MaskWriter`` does, and for an empty split.
    """
    writer = MaskWriter(
        folder,
        class_set=class_set,
        labels=labels,
        created_by=created_by,
        source_files=source_files,
        seed=seed,
        folds=folds,
    )
    writer.write(cases_by_split)


def _coco(cases: Sequence[tuple[MaskCase, tuple[int, int]]], class_set: ClassSet) -> dict[str, Any]:
    images, annotations = [], []
    for number, (case, (width, height)) in enumerate(cases, start=1):
        image = {"id": number, "file_name": f"{case.name}.png", "width": width, "height": height}
        spacing = None if np.isnan(case.spacing).any() else case.spacing.tolist()
        known = {"person": case.person, "attributes": dict(case.attributes), "unknown": list(case.unknown)}
        images.append({**image, "spacing": spacing, "source_file": case.source_file, **known})
        for category, shape in enumerate(case.shapes, start=1):
            for segmentation in shape.segmentations((width, height), _DECIMALS):
                annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": category}
                annotations.append({**annotation, "iscrowd": 0, **segmentation})
    categories = [{"id": k, "name": name} for k, name in enumerate(class_set.classes, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}

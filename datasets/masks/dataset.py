"""Reading prepared masks, the one form in which every such data set reaches training and evaluation."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from datasets.masks.class_set import ClassSet
from datasets.masks.records import MaskRecord, read_mask_records
from datasets.masks.sample import MaskSample
from datasets.prepared.drawn import DrawnCases
from datasets.prepared.subsets import read_header, read_png, read_subset, repeated_cases


class MaskDataset(DrawnCases[MaskSample]):
    """One split of a prepared folder; the prepared image is the source that ``to_source`` leads to.

    ``subset``, ``repeated`` and the augmentation are as those of
    ``datasets.prepared.prepared.PreparedDataset``, but folds are dealt by person.

    Raises ValueError at construction for everything that the annotations can show to be wrong, and at
    ``load`` for an image that cannot be decoded or is not of the size stated.
    """

    def __init__(
        self,
        folder: str | Path,
        subset: str,
        transforms: Callable[[MaskSample, np.random.Generator], MaskSample] | None = None,
        seed: int = 0,
    ) -> None:
        self.folder = Path(folder)
        self.subset = subset
        self.transforms = transforms
        self.seed = seed
        header = read_header(self.folder, "mask_classes")
        self.class_set = ClassSet.from_dict(header["mask_classes"], str(self.folder / "dataset.json"))
        self.labels = str(header["labels"])
        read = partial(read_mask_records, class_set=self.class_set)
        self._records = read_subset(self.folder, subset, header, read)
        self.cases = tuple(record.file.stem for record in self._records)
        self.repeated = repeated_cases(header, self.cases)
        if getattr(transforms, "flip", 0):
            self.class_set.mirrored()  # raises where that is not known

    def __len__(self) -> int:
        return len(self._records)

    def known_values(self) -> dict[str, list[str]]:
        """Of every attribute, the values that images of the subset have."""
        return {
            name: [value for index, value in enumerate(values) if index in seen]
            for (name, values), seen in zip(
                self.class_set.attributes.items(),
                map(set, zip(*(record.attributes for record in self._records), strict=True)),
                strict=True,
            )
        }

    def load(self, index: int) -> MaskSample:
        """Case ``index`` as prepared, before any transform."""
        record = self._records[index]
        return self._sample(record, read_png(record.file, record.size))

    def without_pixels(self, index: int) -> MaskSample:
        """Like ``dataset[index]`` but from a black image: where the structures go, without reading a file."""
        record = self._records[index]
        return self._transformed(self._sample(record, np.zeros(record.size[::-1], np.uint8)), index, 0)

    def _sample(self, record: MaskRecord, image: np.ndarray) -> MaskSample:
        planes = np.zeros((*image.shape, self.class_set.num_bytes), np.uint8)
        for k, shape in enumerate(record.shapes):
            shape.add_pixels(planes[..., k // 8], k % 8)
        return MaskSample(
            image=image,
            spacing=record.spacing.copy(),
            to_source=np.eye(3),
            case=record.file.stem,
            person=record.person,
            class_set=self.class_set,
            planes=planes,
            polygons=tuple(shape.polygons for shape in record.shapes),
            known=record.known,
            attributes=record.attributes,
            shapes=record.shapes,
            source_size=record.size,
        )

"""What the outputs of a mask model stand for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.masks.class_set import ClassSet


@dataclass(frozen=True)
class MaskMeaning:
    """Which structures, and whose outlines they were learnt from."""

    class_set: ClassSet
    labels: str

    @property
    def names(self) -> tuple[str, ...]:
        return self.class_set.classes

    def counterparts(self, other: "MaskMeaning") -> dict[int, int]:
        """Index here -> index in ``other`` of the structures of the same name."""
        there = {name: index for index, name in enumerate(other.names)}
        return {index: there[name] for index, name in enumerate(self.names) if name in there}

    def to_dict(self) -> dict[str, Any]:
        return {"mask_classes": self.class_set.to_dict(), "labels": self.labels}

    @classmethod
    def from_dict(cls, checkpoint: Mapping[str, Any], source: str | Path) -> "MaskMeaning":
        """From a checkpoint; ``source`` names it in errors. Raises ValueError where it says no classes."""
        absent = {"mask_classes", "labels"} - checkpoint.keys()
        if absent:
            raise ValueError(f"{source}: no {sorted(absent)}: not a checkpoint of a mask model.")
        return cls(ClassSet.from_dict(checkpoint["mask_classes"], str(source)), str(checkpoint["labels"]))

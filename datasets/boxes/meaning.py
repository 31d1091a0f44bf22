"""What the outputs of a detector stand for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.boxes.class_set import BoxClasses


@dataclass(frozen=True)
class BoxMeaning:
    """Which classes, with the ids that the source of the training data gives them."""

    classes: BoxClasses

    @property
    def names(self) -> tuple[str, ...]:
        return self.classes.names

    def counterparts(self, other: "BoxMeaning") -> dict[int, int]:
        """Label here -> label in ``other`` of the classes of the same name; capitals do not count."""
        places = {name.casefold(): label for label, name in enumerate(other.names)}
        pairs = ((label, places.get(name.casefold())) for label, name in enumerate(self.names))
        return {label: place for label, place in pairs if place is not None}

    def to_dict(self) -> dict[str, Any]:
        return {"box_classes": self.classes.to_dict()}

    @classmethod
    def from_dict(cls, checkpoint: Mapping[str, Any], source: str | Path) -> "BoxMeaning":
        """From a checkpoint; ``source`` names it in errors. Raises ValueError where it says no classes."""
        if "box_classes" not in checkpoint:
            raise ValueError(
                f"{source}: no 'box_classes': not a checkpoint of a detector. Give one that was trained on "
                "boxes; a training takes parts of others by train.init_parts, such as [backbone]."
            )
        return cls(BoxClasses.from_dict(checkpoint["box_classes"], str(source)))

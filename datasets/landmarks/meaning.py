"""What the outputs of a landmark model stand for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.unit import LengthUnit, unit_of


@dataclass(frozen=True)
class LandmarkMeaning:
    """Which landmarks, and whose annotations they were learnt from."""

    landmark_set: LandmarkSet
    labels: str
    landmark_shapes: Mapping[str, Any] | None = None  # which way their readers are unsure, as plain data
    unit: LengthUnit = LengthUnit()  # noqa: RUF009 (frozen)
    taught_by: tuple[str, ...] = ()  # ``film_digest`` of the films that its protocol was fitted on

    @property
    def names(self) -> tuple[str, ...]:
        return self.landmark_set.landmarks

    def counterparts(self, other: "LandmarkMeaning") -> dict[int, int]:
        """Index here -> index in ``other`` of the landmarks that both have (``LandmarkSet.counterparts``)."""
        return self.landmark_set.counterparts(other.landmark_set)

    def to_dict(self) -> dict[str, Any]:
        known: dict[str, Any] = (
            {} if self.landmark_shapes is None else {"landmark_shapes": dict(self.landmark_shapes)}
        )
        if self.unit.of is not None:
            known["unit"] = self.unit.to_json()
        return {"landmark_set": self.landmark_set.to_dict(), "labels": self.labels, **known}

    @classmethod
    def from_dict(cls, checkpoint: Mapping[str, Any], source: str | Path) -> "LandmarkMeaning":
        """From a checkpoint; ``source`` names it in errors. Raises ValueError where it says no landmarks."""
        absent = {"landmark_set", "labels"} - checkpoint.keys()
        if absent:
            raise ValueError(f"{source}: no {sorted(absent)}: not a checkpoint of a landmark model.")
        landmark_set = LandmarkSet.from_dict(checkpoint["landmark_set"], source=str(source))
        unit = unit_of(checkpoint, landmark_set, source)
        protocol, shapes = checkpoint.get("protocol"), checkpoint.get("landmark_shapes")
        taught_by = protocol.get("film_digests", ()) if isinstance(protocol, Mapping) else ()
        return cls(landmark_set, checkpoint["labels"], shapes, unit, tuple(taught_by))

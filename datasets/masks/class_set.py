"""The structures that a mask data set marks: their names, and which of them a mirror image exchanges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets.sides import other_side


@dataclass(frozen=True)
class ClassSet:
    """K classes, any of which may share pixels with any other, and what is known of a whole image.

    ``pairs`` are the classes that a mirror image exchanges, such as the left and the right lung: none for
    a hand, whose mirror image is the other hand with the same bones; None where it is not known, and then
    a mirror image is refused. ``attributes`` are what metadata say of an image, with their values:
    ``{"side": ("left", "right")}``; a mirror image exchanges left and right there too.

    Raises ValueError for names that are empty or come twice, and for pairs that are none.
    """

    name: str
    classes: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...] | None = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_names(self.classes, f"class set {self.name!r}: classes")
        for attribute, values in self.attributes.items():
            _check_names(values, f"class set {self.name!r}: values of {attribute!r}")
        named = [index for pair in self.pairs or () for index in pair]
        if len(set(named)) != len(named) or not set(named) <= set(range(len(self.classes))):
            raise ValueError(
                f"class set {self.name!r}: pairs {self.pairs}, expected two indices from 0 to "
                f"{len(self.classes) - 1} each, and each index once."
            )

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def num_bytes(self) -> int:
        """Bytes that a pixel takes with a bit a class."""
        return -(-len(self) // 8)

    def mirrored(self) -> tuple[int, ...]:
        """(K,) the class that takes the place of each in a mirror image. Raises ValueError where unknown."""
        if self.pairs is None:
            raise ValueError(
                f"class set {self.name!r}: which classes a mirror image exchanges is not known, so an image "
                "is not mirrored. Name the pairs in dataset.json ([] for none), or train without flips."
            )
        order = list(range(len(self)))
        for first, second in self.pairs:
            order[first], order[second] = second, first
        return tuple(order)

    def mirrored_values(self) -> tuple[tuple[int, ...], ...]:
        """Of every attribute, (V,) the value that takes the place of each in a mirror image."""
        return tuple(
            tuple(_mirrored_value(names, value) for value in range(len(names)))
            for names in self.attributes.values()
        )

    def mirrored_attributes(self, values: Sequence[int]) -> tuple[int, ...]:
        """The index of every attribute's value in a mirror image; -1, unknown, stays."""
        return tuple(
            _mirrored_value(names, value)
            for names, value in zip(self.attributes.values(), values, strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "classes": list(self.classes),
            "pairs": None if self.pairs is None else [list(pair) for pair in self.pairs],
            "attributes": {name: list(values) for name, values in self.attributes.items()},
        }

    @classmethod
    def from_dict(cls, data: Any, source: str) -> "ClassSet":
        """What ``to_dict`` gave. Raises ValueError, beginning with ``source``, for anything else."""
        try:
            pairs = data["pairs"]
            return cls(
                name=str(data["name"]),
                classes=tuple(map(str, data["classes"])),
                pairs=None if pairs is None else tuple((int(a), int(b)) for a, b in pairs),
                attributes={
                    str(name): tuple(map(str, values)) for name, values in data["attributes"].items()
                },
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{source}: class set without {error}, expected name, classes, pairs and attributes."
            ) from error
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error


def _mirrored_value(names: Sequence[str], value: int) -> int:
    other = other_side(names[value], teeth=False) if value >= 0 else None
    return names.index(other) if other in names else value


def _check_names(names: Sequence[str], what: str) -> None:
    if not names or len(set(names)) != len(names) or not all(name.strip() for name in names):
        raise ValueError(f"{what} {list(names)}: expected at least one name, none empty and none twice.")

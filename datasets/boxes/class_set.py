"""The classes of a box data set: their names, the ids that its source gives them, and the pairs of sides."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets.sides import pairs_by_name
from util.words import first_few


@dataclass(frozen=True)
class BoxClasses:
    """K classes in a fixed order; label k of a target and score k of a model are class k.

    ``ids`` are what the source calls them (``category_id`` of COCO), any distinct integers, gaps allowed.
    ``pairs`` are the classes that a mirror image exchanges, such as teeth 11 and 21; None where that is not
    known, and then a mirror image is refused.

    Raises ValueError for no class at all, and for names or ids that are empty or come twice.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...] | None = ()

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError("no class, expected at least one. Name the classes in `categories`.")
        for values, what in ((self.names, "names"), (self.ids, "ids")):
            twice = sorted({str(value) for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{what} of classes {twice} come more than once, expected distinct ones.")
        if not all(name.strip() for name in self.names):
            raise ValueError(f"names of classes {list(self.names)}: one is empty, expected a name each.")

    def __len__(self) -> int:
        return len(self.names)

    def label(self, category_id: int) -> int:
        """The label of a class from the id that the source gives it. Raises ValueError for an unknown id."""
        if category_id not in self.ids:
            raise ValueError(f"category {category_id!r} is unknown, expected one of {first_few(self.ids)}.")
        return self.ids.index(category_id)

    def labels_of(self, other: "BoxClasses") -> np.ndarray | None:
        """(K of ``other``,) the labels here of its classes, by id; None where one is not here or is another.

        Classes are the same by their names; a class that is called after its id alone has none to compare.
        """
        known = dict(zip(self.ids, self.names, strict=True))
        for name, number in zip(other.names, other.ids, strict=True):
            here = known.get(number)
            if here is None or here.casefold() not in (name.casefold(), unnamed(number)):
                return None
        return np.array([self.ids.index(number) for number in other.ids], np.int64)

    def category_ids(self, labels: np.ndarray) -> np.ndarray:
        """(N,) labels -> (N,) ids of the source, which may be larger than any number of numpy's."""
        return np.asarray(self.ids, object)[labels]

    def mirrored(self) -> np.ndarray:
        """(K,) the label that each becomes in a mirror image. Raises ValueError where that is not known."""
        if self.pairs is None:
            raise ValueError(
                f"classes {first_few(self.names)}: some have a side whose partner is missing, or L and R are "
                "among other letters, so no image is mirrored. Name the pairs in dataset.json of a prepared "
                "folder ([] for none), or train without flips (train_transforms.flip=0)."
            )
        order = np.arange(len(self))
        for first, second in self.pairs:
            order[first], order[second] = second, first
        return order

    def to_dict(self) -> dict[str, Any]:
        pairs = None if self.pairs is None else [list(pair) for pair in self.pairs]
        return {"names": list(self.names), "ids": list(self.ids), "pairs": pairs}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str) -> "BoxClasses":
        """What ``to_dict`` gave. Raises ValueError, beginning with ``source``, for anything else."""
        try:
            pairs = data["pairs"]
            return cls(
                names=tuple(map(str, data["names"])),
                ids=tuple(map(int, data["ids"])),
                pairs=None if pairs is None else tuple((int(a), int(b)) for a, b in pairs),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{source}: classes without {error}, expected names, ids and pairs.") from error
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error

    @classmethod
    def from_categories(cls, categories: Iterable[Mapping[str, Any]], source: str) -> "BoxClasses":
        """From the ``categories`` of a COCO file, by rising id; pairs by their names.

        Raises ValueError, beginning with ``source``, for no category and for ids or names that come twice.
        """
        try:
            pairs = sorted(map(_id_and_name, categories))
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
        names = tuple(name for _, name in pairs)
        try:
            return cls(names, tuple(number for number, _ in pairs), pairs_by_name(names) if names else ())
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error


def _id_and_name(category: Mapping[str, Any]) -> tuple[int, str]:
    number, name = category.get("id"), category.get("name")
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or not isinstance(name, str | int):
        raise ValueError(f"category {dict(category)}: expected an integer id and a name each.")
    return number, str(name)


def unnamed(category_id: int) -> str:
    """What a class is called of which only its id is known."""
    return f"category {category_id}"

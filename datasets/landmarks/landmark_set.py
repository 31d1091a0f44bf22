"""A landmark set is data: names, abbreviations, order and left/right pairs, one JSON file a set.

The sets that ship lie in ``landmark_sets/`` beside this file; a user's own is one more file of that form.
"""

import itertools
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from datasets.sides import other_side

_FOLDER = Path(__file__).parent / "landmark_sets"


@dataclass(frozen=True)
class LandmarkSet:
    """K landmarks in a fixed order; query k of a model is landmark k of its set."""

    name: str
    landmarks: tuple[str, ...]
    abbreviations: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...] = ()  # 0-based indices that a left-right flip exchanges
    note: str = ""

    def __post_init__(self) -> None:
        count = len(self.landmarks)
        if count == 0 or len({name.strip() for name in self.landmarks} - {""}) != count:
            raise ValueError(
                f"landmark set {self.name!r}: names must be present and distinct, got {self.landmarks}"
            )
        distinct = len(set(self.abbreviations))
        if len(self.abbreviations) != count or distinct != count:
            raise ValueError(
                f"landmark set {self.name!r}: {distinct} distinct abbreviations for {count} landmarks, "
                "expected one each."
            )
        flat = [index for pair in self.pairs for index in pair]
        if any(not 0 <= index < count for index in flat) or len(set(flat)) != len(flat):
            raise ValueError(
                f"landmark set {self.name!r}: pairs {self.pairs} must name distinct indices below {count}."
            )

    def __len__(self) -> int:
        return len(self.landmarks)

    def unpaired_sides(self) -> list[tuple[str, str]]:
        """Names that differ by their side only and are no pair: a mirror image would not exchange them."""
        index = {name: number for number, name in enumerate(self.landmarks)}
        partners = {name: other_side(name, teeth=False) for name in self.landmarks}
        both = [(name, other) for name, other in partners.items() if other in index]
        found = [(name, other) for name, other in both if index[name] < index[other]]
        paired = {frozenset(pair) for pair in self.pairs}
        return [pair for pair in found if frozenset(index[name] for name in pair) not in paired]

    def counterparts(self, other: "LandmarkSet") -> dict[int, int]:
        """Index here -> index in ``other`` of the landmarks that both have, one to one.

        The same name is the same landmark, or else the same abbreviation; capitals decide only between two.
        """
        found: dict[int, int] = {}
        for words, spell in itertools.product(("landmarks", "abbreviations"), (str, str.casefold)):
            left = {spell(w): i for i, w in enumerate(getattr(other, words)) if i not in found.values()}
            for index, word in enumerate(getattr(self, words)):
                if index not in found and spell(word) in left:
                    found[index] = left.pop(spell(word))
        return dict(sorted(found.items()))

    def to_dict(self) -> dict:
        return {
            "name": self.name,
            "landmarks": list(self.landmarks),
            "abbreviations": list(self.abbreviations),
            "pairs": [list(pair) for pair in self.pairs],
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, data: dict, source: str = "landmark set") -> "LandmarkSet":
        """Build from parsed JSON; ``source`` names it in errors.

        Raises ValueError on a missing or unknown key.
        """
        required, known = {"name", "landmarks"}, {"name", "landmarks", "abbreviations", "pairs", "note"}
        if not isinstance(data, dict) or not required <= data.keys() or not data.keys() <= known:
            found = sorted(data) if isinstance(data, dict) else type(data).__name__
            raise ValueError(
                f"{source}: found {found}, expected the keys {sorted(required)} and at most {sorted(known)}."
            )
        names, abbreviations = data["landmarks"], data.get("abbreviations") or data["landmarks"]
        pairs = data.get("pairs", [])
        if not isinstance(data["name"], str) or not data["name"].strip():
            raise ValueError(f"{source}: name {data['name']!r}, expected a word for the set.")
        for key, value in (("landmarks", names), ("abbreviations", abbreviations)):
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise ValueError(f"{source}: {key} {value!r}, expected a list of names.")
        if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
            raise ValueError(f"{source}: pairs {pairs!r}, expected a list of two 0-based indices each.")
        return cls(
            name=data["name"],
            landmarks=tuple(names),
            abbreviations=tuple(abbreviations),
            pairs=tuple((left, right) for left, right in pairs),
            note=data.get("note", ""),
        )


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(index) is int for index in value)


def require_set_name(name: str, source: object) -> None:
    """Raise ValueError, beginning with ``source``, unless a set called so can be named behind a file."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ValueError(
            f"{source}: landmark set {name!r}, expected letters, digits, '.', '_' and '-', since it is named "
            "behind files. Rename it there."
        )


def load_landmark_set(name_or_file: str | Path) -> LandmarkSet:
    """A shipped set by name (``isbi19``, ``cl38``) or a user's own JSON file by path.

    Raises ValueError where there is none, and for a file that describes no set or has no name for it.
    """
    file = Path(name_or_file)
    if file.suffix != ".json":
        file = _FOLDER / f"{name_or_file}.json"
    if not file.is_file():
        raise ValueError(
            f"landmark set {str(name_or_file)!r} not found. Give one of {shipped_sets()} or the path of a "
            ".json."
        )
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:  # of the JSON, or of its encoding
        raise ValueError(f"{file}: not valid JSON in UTF-8 ({error}).") from error
    landmark_set = LandmarkSet.from_dict(data, source=str(file))
    require_set_name(landmark_set.name, file)
    return landmark_set


def shipped_sets() -> list[str]:
    """The names of the sets that ship."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


@cache
def shipped_names() -> frozenset[str]:
    """The names and abbreviations of all landmarks of all sets that ship."""
    sets = [load_landmark_set(name) for name in shipped_sets()]
    return frozenset(name for one in sets for name in (*one.landmarks, *one.abbreviations))

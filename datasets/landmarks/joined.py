"""Data of several landmark sets side by side, for one model. A batch is of one set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch.utils.data import Dataset

from datasets.landmarks.batch import PointBatch, collate
from datasets.prepared.prepared import PreparedDataset
from transforms.sample import PointSample


@dataclass(frozen=True, kw_only=True)
class MemberBatch(PointBatch):
    """B cases of one of several data sets."""

    member: str  # the name of its landmark set


class JoinedDataset(Dataset[tuple[str, PointSample]]):
    """The cases of one data set after the other, each with the name of its landmark set.

    They may differ in landmarks, canvas and unit, so they share no batch (``datasets.loader.parts_of``).
    """

    def __init__(self, members: Mapping[str, PreparedDataset]) -> None:
        """``members`` by the name of their landmark set."""
        self.members = dict(members)
        self.parts = tuple(len(member) for member in self.members.values())
        self.cases = tuple(case for member in self.members.values() for case in member.cases)
        first = next(iter(self.members.values()))
        self.folder, self.subset = first.folder, first.subset

    def __len__(self) -> int:
        return sum(self.parts)

    def load(self, index: int) -> PointSample:
        """Case ``index`` as prepared, before any transform."""
        name, place = self._place(index)
        return self.members[name].load(place)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[str, PointSample]:
        """As its own data set gives it."""
        index, draw = key if isinstance(key, tuple) else (key, 0)
        name, place = self._place(index)
        return name, self.members[name][place, draw]

    def _place(self, index: int) -> tuple[str, int]:
        """Which data set, and which case of it."""
        for name, member in self.members.items():
            if index < len(member):
                return name, index
            index -= len(member)
        raise IndexError(f"a case beyond the last of {len(self)}")


def collate_member(samples: Sequence[tuple[str, PointSample]]) -> MemberBatch:
    """Stack samples of one data set. Raises ValueError as ``collate`` does, and for samples of several."""
    members = {member for member, _ in samples}
    if len(members) != 1:
        raise ValueError(f"cases of the data sets {sorted(members)} in one batch, expected those of one.")
    return MemberBatch(**vars(collate([sample for _, sample in samples])), member=members.pop())

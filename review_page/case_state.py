"""What is known of one film under review: the state that its log's records add up to.

Plain data and no file: a record is applied the same way when it is new and when it is read again. Points are
in index pixels of the film, the centre of the first pixel is (0, 0).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PREDICTED, CONFIRMED, MOVED, NOT_VISIBLE, UNSURE = "predicted", "confirmed", "moved", "not visible", "unsure"
SETTLED = (CONFIRMED, MOVED, NOT_VISIBLE, UNSURE)
OPEN, REVIEWED, LOCKED = "open", "reviewed", "locked"
IMAGE_STATES = (OPEN, REVIEWED, LOCKED)
IMAGE, FLAG, SPACING = "image", "flag", "spacing"  # targets of changes beside the landmarks

Target = int | str  # a landmark's index, or one of the three above


@dataclass(frozen=True)
class Mark:
    """What a reader has said of one landmark; its place is the prediction's while ``state`` is predicted."""

    state: str = PREDICTED
    x: float | None = None
    y: float | None = None
    note: str = ""
    reader: str = ""

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class PredictedPoint:
    """Where a model finds a landmark, and how sure it is."""

    x: float
    y: float
    u_px: float | None  # root mean square radial error, pixels

    def to_list(self) -> list[float | None]:
        return [self.x, self.y, self.u_px]


@dataclass(frozen=True)
class Spacing:
    """mm a pixel along x and y, None where nobody knows; and who says so."""

    mm: tuple[float, float] | None
    source: str

    def __str__(self) -> str:
        """The numbers in words, x and y where they differ."""
        if self.mm is None:
            return "unknown"
        x, y = (f"{side:.4f}" for side in self.mm)
        return x if x == y else f"{x} x {y}"

    def to_dict(self) -> dict[str, Any]:
        return {"mm": None if self.mm is None else list(self.mm), "source": self.source}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Spacing":
        mm = data["mm"]
        return cls(None if mm is None else (float(mm[0]), float(mm[1])), str(data["source"]))


@dataclass
class CaseState:
    """The present state of one film, K landmarks."""

    predicted: list[PredictedPoint | None]
    spacing: Spacing
    marks: list[Mark] = field(default_factory=list)
    image: str = OPEN
    flag: dict[str, Any] = field(default_factory=lambda: {"flagged": False, "note": ""})
    revision: int = 0  # number of the last record
    changed: dict[Target, int] = field(default_factory=dict)  # the revision at which each was last changed
    done: list[dict[str, Any]] = field(
        default_factory=list
    )  # records that undo would take back, last first out
    undone: list[dict[str, Any]] = field(default_factory=list)  # records that redo would bring back
    history: list[dict[str, Any]] = field(default_factory=list)  # {seq, time, reader, text}, oldest first

    def __post_init__(self) -> None:
        self.marks = self.marks or [Mark() for _ in self.predicted]

    def place(self, index: int) -> tuple[float, float] | None:
        """Where a landmark stands now; None where it has no place."""
        mark, predicted = self.marks[index], self.predicted[index]
        if mark.state != PREDICTED:
            return None if mark.x is None or mark.y is None else (mark.x, mark.y)
        return None if predicted is None else (predicted.x, predicted.y)

    def unsettled(self) -> list[int]:
        """Landmarks that nobody has looked at."""
        return [index for index, mark in enumerate(self.marks) if mark.state == PREDICTED]

    def value(self, target: Target) -> Any:
        """What a change of ``target`` would replace; JSON-ready."""
        if isinstance(target, int):
            return self.marks[target].to_dict()
        if target == IMAGE:
            return self.image
        return dict(self.flag) if target == FLAG else self.spacing.to_dict()

    def apply(self, record: Mapping[str, Any]) -> None:
        """Bring in one record. Raises ValueError, KeyError or TypeError for one that is not as written."""
        kind, seq = record["kind"], int(record["seq"])
        if seq != self.revision + 1:
            raise ValueError(f"record {seq} after {self.revision}")
        if kind == "prediction":
            self._predict(record["landmarks"], seq)
        else:
            for change in record["changes"]:
                self._set(change["what"], change["to"])
                self.changed[change["what"]] = seq
            self._stack(kind, record)
        self.revision = seq
        self.history.append({key: record[key] for key in ("seq", "time", "reader", "text")})

    def _stack(self, kind: str, record: Mapping[str, Any]) -> None:
        """Undo and redo are records as others are; they only say where the next undo begins."""
        if kind == "undo":
            self.undone.append(self.done.pop())
        elif kind == "redo":
            self.done.append(self.undone.pop())
        elif record.get("undoable", True):
            self.done.append(dict(record))
            self.undone.clear()

    def _predict(self, landmarks: Sequence[Sequence[float | None] | None], seq: int) -> None:
        if len(landmarks) != len(self.marks):
            raise ValueError(f"a prediction of {len(landmarks)} landmarks, expected {len(self.marks)}")
        self.predicted = points_of(landmarks)
        for index in self.unsettled():
            self.changed[index] = seq

    def _set(self, target: Target, value: Any) -> None:
        if isinstance(target, int):
            self.marks[target] = Mark(**value)
        elif target == IMAGE:
            self.image = str(value)
        elif target == FLAG:
            self.flag = dict(value)
        elif target == SPACING:
            self.spacing = Spacing.from_dict(value)
        else:
            raise ValueError(f"a change of {target!r}")


def points_of(landmarks: Sequence[Sequence[float | None] | None]) -> list[PredictedPoint | None]:
    """[[x, y, uncertainty or None] or None, ...] as a log has them."""
    return [
        None
        if row is None or row[0] is None or row[1] is None
        else PredictedPoint(float(row[0]), float(row[1]), None if row[2] is None else float(row[2]))
        for row in landmarks
    ]

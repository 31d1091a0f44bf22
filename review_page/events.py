"""From what a browser asks for to the changes that it comes to; nothing is written here.

An event on what was changed after the revision that the browser saw is a conflict, any other is taken: two
people at two landmarks do not hinder each other, and the last one never wins unseen.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from review_page import fields
from review_page.case_state import (
    CONFIRMED,
    FLAG,
    IMAGE,
    IMAGE_STATES,
    LOCKED,
    MOVED,
    NOT_VISIBLE,
    OPEN,
    PREDICTED,
    REVIEWED,
    SPACING,
    UNSURE,
    CaseState,
    Mark,
    Spacing,
    Target,
)
from review_page.errors import ConflictError, RefusedError


@dataclass(frozen=True)
class Asked:
    """What is known when an event comes in."""

    state: CaseState
    names: Sequence[str]  # of the K landmarks
    size: tuple[int, int]  # (width, height) of the film
    reader: str
    pixel_shape: tuple[float, float] = (1.0, 1.0)  # of the film, see ``transforms.geometry``


@dataclass(frozen=True)
class Change:
    """One target and its new value, JSON-ready."""

    target: Target
    value: Any


@dataclass(frozen=True)
class Outcome:
    """What an event comes to; no change where all is so already."""

    kind: str
    text: str
    changes: tuple[Change, ...]

    def record(self, state: CaseState) -> dict[str, Any]:
        """As a log has it, without who and when."""
        changes = [
            {"what": change.target, "from": state.value(change.target), "to": change.value}
            for change in self.changes
            if state.value(change.target) != change.value
        ]
        return {"kind": self.kind, "text": self.text, "changes": changes}


def outcome(asked: Asked, event: Any, base: int) -> Outcome:
    """Raises RefusedError for an event that makes no sense and ConflictError for one that comes too late."""
    if not isinstance(event, Mapping):
        raise RefusedError(400, f"event {event!r:.60}, expected an object with a kind.")
    kind = fields.one_of(event, "kind", _KINDS)
    if asked.state.image == LOCKED and kind not in ("image", "undo", "redo"):
        raise RefusedError(400, "This film is locked. Unlock it to change it.")
    found = _KINDS[kind](asked, event)
    late = [change.target for change in found.changes if asked.state.changed.get(change.target, 0) > base]
    if late:
        raise ConflictError(
            f"{_named(late[0], asked.names)} was changed in the meantime; see what it is now."
        )
    return found


def _place(asked: Asked, event: Mapping[str, Any]) -> Outcome:
    index = fields.whole(event, "index", len(asked.names))
    x, y = fields.point([event.get("x"), event.get("y")], "place", asked.size)
    mark = asked.state.marks[index]
    before = asked.state.place(index)
    by = "" if before is None else f" by {math.dist(before, (x, y)):.1f} px"
    new = Mark(MOVED, x, y, mark.note, asked.reader)
    return _marked(asked, "place", index, new, f"{asked.names[index]} moved{by}")


def _confirm(asked: Asked, event: Mapping[str, Any]) -> Outcome:
    index = fields.whole(event, "index", len(asked.names))
    mark, place = asked.state.marks[index], asked.state.place(index)
    if mark.state in (CONFIRMED, MOVED, NOT_VISIBLE):
        return Outcome("confirm", "", ())
    if place is None:
        raise RefusedError(
            400, f"{asked.names[index]} has no place yet. Set it, or say that it is not visible."
        )
    predicted = asked.state.predicted[index]
    there = predicted is not None and place == (predicted.x, predicted.y)
    new = Mark(CONFIRMED if there else MOVED, *place, mark.note, asked.reader)
    return _marked(asked, "confirm", index, new, f"{asked.names[index]} confirmed")


def _reset(asked: Asked, event: Mapping[str, Any]) -> Outcome:
    index = fields.whole(event, "index", len(asked.names))
    changes = [Change(index, Mark().to_dict())]
    if asked.state.image == REVIEWED:
        changes.append(Change(IMAGE, OPEN))  # something on it is open again
    return Outcome("reset", f"{asked.names[index]} back to the prediction", tuple(changes))


def _state(asked: Asked, event: Mapping[str, Any]) -> Outcome:
    state = fields.one_of(event, "state", (NOT_VISIBLE, UNSURE, PREDICTED))
    if state == PREDICTED:
        return _reset(asked, event)
    index = fields.whole(event, "index", len(asked.names))
    place = (None, None) if state == NOT_VISIBLE else asked.state.place(index)
    if place is None:
        raise RefusedError(
            400, f"{asked.names[index]} has no place yet. Set it, or say that it is not visible."
        )
    new = Mark(state, *place, fields.text(event, "note"), asked.reader)
    return _marked(asked, "state", index, new, f"{asked.names[index]} {state}")


def _flag(asked: Asked, event: Mapping[str, Any]) -> Outcome:
    flagged = fields.flag(event, "flagged")
    value = {"flagged": flagged, "note": fields.text(event, "note")}
    return Outcome("flag", "film flagged" if flagged else "flag taken off", (Change(FLAG, value),))


def _image(asked: Asked, event: Mapping[str, Any]) -> Outcome:
    state = fields.one_of(event, "state", IMAGE_STATES)
    open_ones = asked.state.unsettled()
    if state != OPEN and open_ones:
        raise RefusedError(
            400,
            f"{len(open_ones)} of {len(asked.names)} landmarks are not settled yet, the first is "
            f"{asked.names[open_ones[0]]}. Confirm or move them, or say that they are not visible.",
        )
    return Outcome("image", f"film {state}", (Change(IMAGE, state),))


def _calibrate(asked: Asked, event: Mapping[str, Any]) -> Outcome:
    """The ruler's two ends: pixels of the length that they tell, in the shape that the film gives them."""
    one, two = (fields.point(event.get(key), key, asked.size) for key in ("one", "two"))
    length = fields.number(event.get("mm"), "mm")
    wide, high = asked.pixel_shape
    apart = math.hypot((two[0] - one[0]) * wide, (two[1] - one[1]) * high)
    if not 0 < length <= 1000 or apart < 2:
        raise RefusedError(
            400,
            f"{length:g} mm over {apart:.1f} pixels, expected more than 0 mm, at most 1000, over 2 pixels.",
        )
    spacing = Spacing((length / apart * wide, length / apart * high), "ruler")
    text = f"calibrated: {length:g} mm over {apart:.1f} px, {spacing} mm a pixel"
    return Outcome("calibrate", text, (Change(SPACING, spacing.to_dict()),))


def _undo(asked: Asked, event: Mapping[str, Any]) -> Outcome:
    if not asked.state.done:
        raise RefusedError(400, "There is nothing to undo.")
    return _again(asked, "undo", asked.state.done[-1], "from")


def _redo(asked: Asked, event: Mapping[str, Any]) -> Outcome:
    if not asked.state.undone:
        raise RefusedError(400, "There is nothing to redo.")
    return _again(asked, "redo", asked.state.undone[-1], "to")


def _again(asked: Asked, kind: str, record: Mapping[str, Any], side: str) -> Outcome:
    changes = tuple(Change(change["what"], change[side]) for change in record["changes"])
    locks = [change for change in changes if change.target == IMAGE]
    if asked.state.image == LOCKED and not locks:
        raise RefusedError(400, "This film is locked. Unlock it to change it.")
    return Outcome(kind, f"{kind}: {record['text']}", changes)


def _marked(asked: Asked, kind: str, index: int, mark: Mark, text: str) -> Outcome:
    """One landmark's new mark; the same mark by another reader is no change."""
    old = asked.state.marks[index]
    same = replace(mark, reader=old.reader) == old
    return Outcome(kind, text, () if same else (Change(index, mark.to_dict()),))


def _named(target: Target, names: Sequence[str]) -> str:
    if isinstance(target, int):
        return names[target]
    return {IMAGE: "The film's state", FLAG: "The flag", SPACING: "The calibration"}[target]


_KINDS: dict[str, Callable[[Asked, Mapping[str, Any]], Outcome]] = {
    "place": _place,
    "confirm": _confirm,
    "reset": _reset,
    "state": _state,
    "flag": _flag,
    "image": _image,
    "calibrate": _calibrate,
    "undo": _undo,
    "redo": _redo,
}

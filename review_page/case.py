"""One film under review: its log, its state, and what the page is shown of it."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from review_page.case_state import PREDICTED, SETTLED, SPACING, CaseState, PredictedPoint, Spacing, points_of
from review_page.errors import RefusedError
from review_page.events import Asked, Outcome, outcome
from review_page.films import Film, FilmFacts
from review_page.journal import FORMAT, Journal
from transforms.geometry import pixel_shape, square_side

logger = logging.getLogger(__name__)

_MOST_HISTORY = 50
_NOT_KNOWN = Spacing(None, "none")
_SCALES_DIFFER = 0.15  # from which share on a ruler's spacing and the file's are two stories


@dataclass
class Case:
    """A film, its journal and what both say. Not safe for several threads: the session has a lock."""

    film: Film
    landmark_set: LandmarkSet
    journal: Journal
    prediction: list[PredictedPoint | None]
    model: dict[str, Any]  # that made the prediction
    spacing: Spacing = _NOT_KNOWN  # as the prediction has it
    facts: FilmFacts | None = None
    head: dict[str, Any] | None = None  # None until there is a log
    state: CaseState = field(init=False)
    size_note: str = ""  # where the prediction is of another film

    def __post_init__(self) -> None:
        self.state = CaseState(list(self.prediction), self.spacing)
        if self.journal.exists:
            self._replay()

    @property
    def name(self) -> str:
        return self.film.name

    def open(self, facts: FilmFacts) -> None:
        """Bring in what the file says. Raises RefusedError when it is another film than the log's."""
        if self.head is not None and self.head["image_sha256"] != facts.sha256:
            raise RefusedError(
                400,
                f"{self.name}: the file has changed since its review began. Put the old one back, or "
                "give another --review.",
            )
        self.facts = facts
        if self.state.spacing.mm is None:  # also where the log began without: it may be given only now
            self.state.spacing = Spacing(facts.spacing, facts.spacing_source)

    def refresh_copy(self) -> None:
        """The copy beside the log may be one record behind it, where a server was killed."""
        if self.head is not None and not self.journal.copy_is_at(self.state.revision):
            self.journal.write_cache(self._cached())

    def outcome(self, base: int, event: Any, reader: str) -> Outcome:
        """What an event would come to; nothing changes yet. Raises RefusedError."""
        if self.facts is None:
            raise RefusedError(400, f"{self.name}: not opened yet. Ask for the case first.")
        size = self.facts.width, self.facts.height
        shape = (1.0, 1.0) if self.pixel_shape is None else self.pixel_shape
        return outcome(Asked(self.state, self.landmark_set.landmarks, size, reader, shape), event, base)

    def take(self, found: Outcome, reader: str) -> None:
        """Make an event's changes; when this returns they are on the disk. Raises WriteError."""
        record = found.record(self.state)
        if record["changes"] or found.kind in ("undo", "redo"):
            self._append(record, reader)

    @property
    def pixel_shape(self) -> tuple[float, float] | None:
        """Of the film, as its file or else what has been said of it has it; None where nobody knows."""
        mm = self.facts.spacing if self.facts is not None and self.facts.spacing else self.state.spacing.mm
        if mm is None:
            return None
        wide, high = pixel_shape(np.array(mm)).tolist()
        return wide, high

    def set_spacing(self, spacing: Spacing, text: str, reader: str) -> None:
        """A calibration that was made on another film; nothing that undo would take back."""
        change = {"what": SPACING, "from": self.state.spacing.to_dict(), "to": spacing.to_dict()}
        if change["from"] != change["to"]:
            self._append({"kind": "calibrate", "text": text, "changes": [change], "undoable": False}, reader)

    def predict(self, prediction: Sequence[PredictedPoint | None], model: Mapping[str, Any]) -> None:
        """A new prediction; what readers have settled stays."""
        if self.head is None:
            self.prediction, self.model = list(prediction), dict(model)
            self.state.predicted = list(prediction)
            return
        rows = [None if point is None else point.to_list() for point in prediction]
        record = {"kind": "prediction", "text": "predicted anew", "landmarks": rows, "model": dict(model)}
        self._append(record, "")

    def _append(self, record: Mapping[str, Any], reader: str) -> None:
        """Log first, then the state, then its copy as JSON."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        stamped = {"seq": self.state.revision + 1, "time": now, "reader": reader, **record}
        if self.head is None:
            head = self._new_head(now)
            self.journal.append(head, stamped)
            self.head = head
        else:
            self.journal.append(stamped)
        self.state.apply(stamped)
        self.journal.write_cache(self._cached())

    def _new_head(self, now: str) -> dict[str, Any]:
        assert self.facts is not None
        return {
            "format": FORMAT,
            "time": now,
            "image": self.film.file.name.encode(errors="surrogateescape").decode(errors="backslashreplace"),
            "slice": self.film.slice,
            "image_sha256": self.facts.sha256,
            "size": [self.facts.width, self.facts.height],
            "landmark_set": self.landmark_set.name,
            "landmarks": list(self.landmark_set.landmarks),
            "spacing": self.state.spacing.to_dict(),
            "prediction": [None if point is None else point.to_list() for point in self.state.predicted],
            "model": self.model,
        }

    def _replay(self) -> None:
        """Raises ValueError naming the log where it is of other landmarks or a record makes no sense."""
        head, records = self.journal.read()
        if head.get("landmarks") != list(self.landmark_set.landmarks):
            raise ValueError(
                f"{self.journal.file}: a review of {head.get('landmark_set')!r}, expected the "
                f"{len(self.landmark_set)} of {self.landmark_set.name!r}. Give their predictions, or another "
                "--review."
            )
        try:
            self.state = CaseState(points_of(head["prediction"]), Spacing.from_dict(head["spacing"]))
            for record in records:
                self.state.apply(record)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ValueError(
                f"{self.journal.file}: record {self.state.revision + 1} is damaged ({error!r}). Restore it, "
                "or give another --review."
            ) from error
        self.head, self.model = head, head["model"]

    def _cached(self) -> dict[str, Any]:
        """The state as the copy beside the log has it."""
        return {
            "format": FORMAT,
            "revision": self.state.revision,
            "state": self.state.image,
            "flag": self.state.flag,
            "spacing": self.state.spacing.to_dict(),
            "landmarks": self.landmarks(),
        }

    def landmarks(self) -> list[dict[str, Any]]:
        """The K landmarks as the page and the copy have them, without what measurements add."""
        mm = self.state.spacing.mm
        unit = None if mm is None else square_side(np.array(mm))
        rows = []
        for index, mark in enumerate(self.state.marks):
            place, predicted = self.state.place(index), self.state.predicted[index]
            u_px = None if predicted is None else predicted.u_px
            rows.append(
                {
                    "index": index,
                    "x": None if place is None else place[0],
                    "y": None if place is None else place[1],
                    "predicted": None if predicted is None else {"x": predicted.x, "y": predicted.y},
                    "u_px": u_px,
                    "u_mm": None if u_px is None or unit is None else u_px * unit,
                    "state": mark.state,
                    "note": mark.note,
                    "reader": mark.reader,
                    "moved_px": self.moved_px(index),
                }
            )
        return rows

    def moved_px(self, index: int) -> float | None:
        """From the prediction to where a reader has it; None where one of them is missing."""
        place, predicted = self.state.place(index), self.state.predicted[index]
        if self.state.marks[index].state == PREDICTED or place is None or predicted is None:
            return None
        return math.dist(place, (predicted.x, predicted.y))

    def moved_mm(self, index: int) -> float | None:
        """The same in mm; None also where nobody knows the millimetre."""
        mm, place, predicted = self.state.spacing.mm, self.state.place(index), self.state.predicted[index]
        if self.moved_px(index) is None or mm is None or place is None or predicted is None:
            return None
        return math.hypot((place[0] - predicted.x) * mm[0], (place[1] - predicted.y) * mm[1])

    def history(self) -> list[dict[str, Any]]:
        """The newest first."""
        return [dict(entry) for entry in self.state.history[: -_MOST_HISTORY - 1 : -1]]

    def num_settled(self) -> int:
        return sum(mark.state in SETTLED for mark in self.state.marks)

    def scale_warning(self) -> str | None:
        """Where the scale of the review and that of the file, or of this command, are two stories."""
        mm = self.state.spacing.mm
        if self.facts is None or self.facts.spacing is None or mm is None:
            return None
        if self.state.spacing.source != "ruler":
            return self._spacing_warning(self.facts, mm)
        share = (mm[0] + mm[1]) / sum(self.facts.spacing) - 1.0
        if abs(share) <= _SCALES_DIFFER:
            return None
        return (
            f"The calibration says {mm[0]:.4f} mm a pixel, the file {self.facts.spacing[0]:.4f} "
            f"({self.facts.spacing_source}): {100 * share:+.0f} %. Check the length that was entered."
        )

    def _spacing_warning(self, facts: FilmFacts, mm: tuple[float, float]) -> str | None:
        """A --spacing that comes too late: the log says another."""
        if facts.spacing is None or facts.spacing_source != "--spacing" or np.allclose(mm, facts.spacing):
            return None
        return (
            f"This review began with {self.state.spacing} mm a pixel ({self.state.spacing.source}) and keeps "
            f"it; --spacing now says {Spacing(facts.spacing, '')}. Calibrate by a ruler (C), or give another "
            "--review."
        )

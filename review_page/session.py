"""A review under way: its films, their cases, and the lock that lets one request at them at a time."""

import itertools
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from review_page.case import Case
from review_page.case_state import LOCKED, REVIEWED, PredictedPoint, Spacing
from review_page.errors import ConflictError, RefusedError
from review_page.events import Outcome
from review_page.film_images import FilmImages
from review_page.films import Film
from review_page.journal import Journal
from review_page.measured_case import CaseMeasurer
from review_page.predictions import Predictions, Record
from review_page.review_folder import ReviewFolder, Study
from transforms.geometry import square_side
from util.files import printable
from util.prediction.landmarks.landmark_files import no_such_xray


@dataclass
class Settings:
    """What the person who started the review has asked for."""

    reader: str = ""
    mask_names: bool = False
    spacing: Sequence[float] | None = None  # mm a pixel in place of what the files say
    notes: tuple[str, ...] = ()  # about the folder, for the page


@dataclass
class Session:
    """The films of one review folder. Every public method may be called from any thread."""

    folder: ReviewFolder
    films: Sequence[Film]
    predictions: Predictions
    measurer: CaseMeasurer
    settings: Settings
    study: Study | None = None
    cases: list[Case] = field(init=False)

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.images = FilmImages(self.settings.spacing)
        films = {film.key: film for film in self.films}
        if self.study is None:
            self.cases = [self._case(film, 0) for film in self.films]
        else:
            self.cases = [self._case(films[key], time) for key, time in self.study.order if key in films]
        for case in self.cases:
            case.refresh_copy()

    @property
    def landmark_set(self) -> LandmarkSet:
        return self.predictions.landmark_set

    def name(self, number: int) -> str:
        """How the page calls a film; without its name where names are masked or the reading is blind."""
        return f"film {number + 1}" if self._masks else self.cases[number].name

    @property
    def _masks(self) -> bool:
        return self.settings.mask_names or self.study is not None

    def notes(self) -> list[str]:
        """About the folder, for the page; they name files."""
        notes = list(self.settings.notes)
        if notes and self._masks:
            return ["Something was left out of this review; the window of review.py says what."]
        return notes

    def masked(self, sentence: str) -> str:
        """A sentence for the page: where names are masked, it names films and their files by number too."""
        for number, case in enumerate(self.cases if self._masks else ()):
            log = case.journal.file.name.removesuffix(".log.jsonl")
            for name in (printable(case.film.file), log, case.name):
                sentence = sentence.replace(name, self.name(number))
        return sentence

    def opened(self, number: int) -> Case:
        """A case whose film has been read. Raises RefusedError for a film that is not what it was."""
        case = self.cases[number]
        if case.facts is None:
            facts = self.images.facts(case.film)
            with self.lock:
                case.open(facts)
                self._note_size(case)
        return case

    def listed(self) -> list[dict[str, Any]]:
        """A line a film, in the folder's order."""
        with self.lock:
            risks = self.measurer.risks(self.cases)
            return [self._line(number, case, risks[number]) for number, case in enumerate(self.cases)]

    def show(self, number: int) -> dict[str, Any]:
        """All that the page is told of a film."""
        case = self.opened(number)
        with self.lock:
            return self._shown(number, case)

    def put(self, number: int, base: int, event: Any) -> dict[str, Any]:
        """Take in one event; the film after it, which is on the disk. Raises RefusedError and WriteError.

        A calibration of all films comes to this one last: where one of the others cannot be written, the page
        sends all of it again. Those that cannot be read are named under ``warning``.
        """
        case, warning = self.opened(number), ""
        with self.lock:
            if not 0 <= base <= case.state.revision:
                raise RefusedError(400, f"base: {base}, expected a revision from 0 to {case.state.revision}.")
            found = case.outcome(base, event, self.settings.reader)
            if found.kind == "calibrate" and event.get("all_cases") is True:
                warning = self._calibrate_others(case, found)
            case.take(found, self.settings.reader)
            return self._shown(number, case, warning)

    def measure(self, number: int, points: Sequence[tuple[float, float] | None]) -> list[dict[str, Any]]:
        """What the measurements would be with the landmarks at ``points``, index pixels."""
        case = self.opened(number)
        with self.lock:
            return self.measurer.at(case, points).rows

    def predict(self, film: Film, record: Record) -> None:
        """A film's prediction has come."""
        with self.lock:
            self.predictions.records[film.key] = record
            for case in self.cases:
                if case.film is film:
                    case.predict(self.predictions.points(film), self.predictions.about())

    def counted(self, *states: str) -> list[int]:
        """The numbers of the films in one of these states."""
        return [number for number, case in enumerate(self.cases) if case.state.image in states]

    def reviewed(self) -> list[int]:
        return self.counted(REVIEWED, LOCKED)

    def conflict(self, number: int, error: ConflictError) -> dict[str, Any]:
        """What the page needs to go on from."""
        return {"error": str(error), "case": self.show(number)}

    def _case(self, film: Film, time: int) -> Case:
        key = film.key if time == 0 else f"{film.key}-repeat"
        hidden = self.study is not None
        prediction = self.predictions.points(film)
        if hidden:
            prediction = list[PredictedPoint | None](itertools.repeat(None, len(prediction)))
        about = {} if hidden else self.predictions.about()
        journal = Journal(self.folder.cases, key)
        return Case(film, self.landmark_set, journal, prediction, about, self._spacing(film))

    def _spacing(self, film: Film) -> Spacing:
        """What the predictions say, which may have read a ruler; the arguments come first."""
        record = self.predictions.records.get(film.key)
        if self.settings.spacing is not None or record is None or record.get("spacing_mm") is None:
            return Spacing(None, "none")
        x, y = record["spacing_mm"]
        return Spacing((float(x), float(y)), str(record.get("spacing_source", "none")))

    def _calibrate_others(self, case: Case, found: Outcome) -> str:
        """Pixels of the same area on all films, in the shape of each, or of ``case`` where that is unknown.

        All films are read before the first is changed. Gives a sentence on those that cannot be read.
        """
        others, unread = self._readable(case)
        mm, shape = Spacing.from_dict(found.changes[0].value).mm, case.pixel_shape or (1.0, 1.0)
        assert mm is not None
        side = square_side(np.array(mm))
        for other in others:
            own = other.pixel_shape
            same = mm if own is None or own == shape else (own[0] * side, own[1] * side)
            other.set_spacing(Spacing(same, "ruler"), f"{found.text}, on another film", self.settings.reader)
        if not unread:
            return ""
        return (
            f"Not calibrated, since they cannot be read: {', '.join(unread)}. Calibrate them once they can."
        )

    def _readable(self, case: Case) -> tuple[list[Case], list[str]]:
        """The films beside ``case`` that are not locked, and the names of those that cannot be read."""
        readable, unread = [], []
        for number, other in enumerate(self.cases):
            if other is case or other.state.image == LOCKED:
                continue
            try:
                readable.append(self.opened(number))
            except RefusedError:
                unread.append(self.name(number))
        return readable, unread

    def _line(self, number: int, case: Case, risk: float) -> dict[str, Any]:
        record = None if self.study else self.predictions.records.get(case.film.key)
        doubts = [point.u_px or 0.0 for point in case.state.predicted if point is not None]
        return {
            "id": number,
            "name": self.name(number),
            "state": case.state.image,
            "flagged": case.state.flag["flagged"],
            "unsure": sum(mark.state == "unsure" for mark in case.state.marks),
            "plausible": None if record is None else record.get("plausible"),
            "plausible_reason": None if record is None else record.get("plausible_reason"),
            "predicted": any(point is not None for point in case.state.predicted),
            "unsettled": len(case.state.unsettled()),
            "doubt": sum(doubts),
            "risk": risk,
        }

    def _shown(self, number: int, case: Case, warning: str = "") -> dict[str, Any]:
        assert case.facts is not None
        measured, state = self.measurer.of(case), case.state
        spacing = state.spacing
        rows = [row | {"why": measured.why.get(row["index"], "")} for row in case.landmarks()]
        return {
            "id": number,
            "name": self.name(number),
            "revision": state.revision,
            "width": case.facts.width,
            "height": case.facts.height,
            "spacing_mm": None if spacing.mm is None else list(spacing.mm),
            "spacing_source": spacing.source,
            "state": state.image,
            "flagged": state.flag["flagged"],
            "flag_note": state.flag["note"],
            "banner": self._banner(case, measured.note),
            "warning": warning,
            "landmarks": rows,
            "orders": measured.orders,
            "can_undo": bool(state.done),
            "can_redo": bool(state.undone),
            "history": case.history(),
            "measurements": measured.rows,
        }

    def _banner(self, case: Case, note: str) -> list[str]:
        record = {} if self.study else self.predictions.records.get(case.film.key, {})
        sentences = [no_such_xray(record), case.scale_warning() or "", note, case.size_note]
        return [sentence for sentence in sentences if sentence]

    def _note_size(self, case: Case) -> None:
        """A prediction of a picture of another size is of another film."""
        record = self.predictions.records.get(case.film.key)
        if record is None or case.facts is None or self.study:
            return
        said, is_now = (record.get("width"), record.get("height")), (case.facts.width, case.facts.height)
        if said != (None, None) and said != is_now:
            case.size_note = (
                f"The prediction is of a picture of {said[0]}x{said[1]} pixels, this film has "
                f"{is_now[0]}x{is_now[1]}: it is of another film."
            )


def new_study(films: Sequence[Film], repeats: float, seed: int, reader: str) -> Study:
    """All films in random order, and a share ``repeats`` of them once more, seldom twice in a row."""
    generator = random.Random(seed)
    twice = generator.sample(list(films), round(repeats * len(films)))
    first = generator.sample(list(films), len(films))
    order = [(film.key, 0) for film in first]
    for film in twice:
        place = next(index for index, entry in enumerate(order) if entry[0] == film.key)
        order.insert(generator.randint(min(place + 2, len(order)), len(order)), (film.key, 1))
    return Study(seed, tuple(order), reader)

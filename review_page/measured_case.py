"""The measurements of a film as its landmarks stand, and which landmark decides most of them.

One implementation measures: ``measurements``. Here its numbers are only brought into the page's form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from measurements.recipe import lines_of
from review_page.case import Case
from review_page.case_state import PREDICTED, UNSURE
from review_page.effect import effects
from transforms.geometry import square_side
from util.prediction.landmarks.measuring import Measurer

_WORTH_A_WORD = 0.01  # a chance below it is no reason to look at a landmark
READER_MM = 0.8  # rms error of one reader who has settled a landmark: assumed, not measured

Points = Sequence[tuple[float, float] | None]


@dataclass(frozen=True)
class MeasuredCase:
    """What one film comes to."""

    rows: list[dict[str, Any]]  # measurements, as the page has them
    orders: dict[str, list[int]]  # of landmarks, by effect, uncertainty and anatomy
    why: dict[int, str] = field(default_factory=dict)  # why a landmark comes early, in words
    note: str = ""  # why nothing is measured


@dataclass
class CaseMeasurer:
    """Measures films by at most one analysis; keeps what does not change."""

    measurer: Measurer | None  # None: no analysis was asked for
    blind: bool = False  # a reader who must not know what the model thinks
    _known: dict[str, tuple[Any, MeasuredCase]] = field(default_factory=dict)
    _risks: dict[str, tuple[Any, float]] = field(default_factory=dict)

    def of(self, case: Case) -> MeasuredCase:
        """As the landmarks stand now."""
        now, key = _version(case), case.journal.file.name
        if key not in self._known or self._known[key][0] != now:
            self._known[key] = now, self.at(case, places_of(case))
        return self._known[key][1]

    def at(self, case: Case, points: Points) -> MeasuredCase:
        """With the landmarks at ``points``, index pixels."""
        uncertainty = uncertainties(case, points)
        anatomical = list(range(len(points)))
        doubtful = anatomical if self.blind else _first(case, [-(value or 0.0) for value in uncertainty])
        plain = {"effect": doubtful, "uncertainty": doubtful, "anatomical": anatomical}
        if self.measurer is None:
            return MeasuredCase([], plain)
        image = image_of(case, points, uncertainty)
        try:
            records = self.measurer(image, case.name)[0]["measurements"]
        except ValueError as error:
            return MeasuredCase([], plain, note="" if self.blind else str(error))
        rows = [self._row(record) for record in records]
        if self.blind:
            return MeasuredCase(rows, plain)
        effect = effects(self.measurer, [image])[0]  # (M, K)
        orders = plain | ({"effect": _first(case, (-effect.sum(axis=0)).tolist())} if effect.any() else {})
        open_ones = set(case.state.unsettled())
        words = self._words(effect, rows)
        return MeasuredCase(
            rows, orders, {index: sentence for index, sentence in words.items() if index in open_ones}
        )

    def risks(self, cases: Sequence[Case]) -> list[float]:
        """How many decisions of each film are expected to be wrong; what has changed is measured at once."""
        if self.measurer is None or self.blind:
            return [0.0] * len(cases)
        now = [_version(case) for case in cases]
        keys = [case.journal.file.name for case in cases]
        late = [n for n, key in enumerate(keys) if self._risks.get(key, (None, 0.0))[0] != now[n]]
        if late:
            found = effects(self.measurer, [image_as_it_stands(cases[n]) for n in late]).sum((1, 2))
            self._risks |= {keys[n]: (now[n], risk) for n, risk in zip(late, found.tolist(), strict=True)}
        return [self._risks[key][1] for key in keys]

    def analysis_of(self, case: Case) -> dict[str, Any] | None:
        """The whole record of the analysis, as ``Measurer`` gives it; None where nothing is measured."""
        if self.measurer is None:
            return None
        try:
            return self.measurer(image_as_it_stands(case), case.name)[0]
        except ValueError:
            return None

    def lines(self) -> list[list[int]]:
        """The landmarks that the tracing's lines join; lines through middles of landmarks are left out."""
        if self.measurer is None:
            return []
        index, analysis = self.measurer.index, self.measurer.analyses[0].of_landmarks(self.measurer.index)
        ends = set().union(*(lines_of(m.recipe, analysis.names) for m in analysis.measurements))
        found = {
            (min(index[start], index[end]), max(index[start], index[end]))
            for start, end in ends
            if start in index and end in index
        }
        return [list(pair) for pair in sorted(found)]

    def _row(self, record: Mapping[str, Any]) -> dict[str, Any]:
        assert self.measurer is not None
        low, high = record["interval95"] or (None, None)
        norm, classes = record["norm"], record["class"]
        chances = {} if classes is None else classes["probabilities"]
        index = self.measurer.index
        return {
            **{key: record[key] for key in ("code", "name", "unit", "value", "sd", "sign", "note")},
            "low": low,
            "high": high,
            "norm": norm
            and {
                "mean": norm["mean_for_age"],
                **{key: norm[key] for key in ("sd", "population", "sex", "verified", "deviations")},
            },
            "classes": [{"name": name, "probability": chance} for name, chance in chances.items()],
            "flags": record["flags"],
            "drivers": [
                {"index": index[driver["landmark"]], "share": driver["share"]} for driver in record["drivers"]
            ],
        }

    def _words(self, effect: np.ndarray, rows: Sequence[Mapping[str, Any]]) -> dict[int, str]:
        """Of the landmarks that decide something: what, in words; effect: (M, K)."""
        deciding = np.flatnonzero(effect.max(axis=0) > _WORTH_A_WORD).tolist()
        return {index: self._why(index, rows[int(effect[:, index].argmax())]) for index in deciding}

    def _why(self, index: int, row: Mapping[str, Any]) -> str:
        assert self.measurer is not None
        name = self.measurer.landmark_set.landmarks[index]
        if row["classes"]:
            likeliest = max(row["classes"], key=lambda one: one["probability"])
            return (
                f"{name}: decides {row['code']} ({likeliest['name']}, {100 * likeliest['probability']:.0f} %)"
            )
        return f"{name}: decides whether {row['code']} is within its norm"


def _version(case: Case) -> tuple[Any, ...]:
    """What measurements of a film rest on."""
    return case.state.revision, case.state.spacing, tuple(case.state.predicted)


def places_of(case: Case) -> Points:
    return [case.state.place(index) for index in range(len(case.landmark_set))]


def uncertainties(case: Case, points: Points) -> list[float | None]:
    """(K) rms radial errors in pixels: the model's where a landmark stands as predicted, else a reader's."""
    mm = case.state.spacing.mm
    reader = None if mm is None else READER_MM / square_side(np.array(mm))
    found: list[float | None] = []
    for mark, predicted, point in zip(case.state.marks, case.state.predicted, points, strict=True):
        model = None if predicted is None else predicted.u_px
        there = predicted is not None and point == (predicted.x, predicted.y)
        if mark.state == UNSURE or (mark.state == PREDICTED and there):
            found.append(model if model is not None else reader)
        else:
            known = [value for value in (model, reader) if value is not None]
            found.append(min(known) if known else None)
    return found


def image_as_it_stands(case: Case) -> dict[str, Any]:
    points = places_of(case)
    return image_of(case, points, uncertainties(case, points))


def image_of(case: Case, points: Points, uncertainty: Sequence[float | None]) -> dict[str, Any]:
    """The film as a record that a ``Measurer`` takes."""
    rows = [
        {
            "name": name,
            "x": None if point is None else point[0],
            "y": None if point is None else point[1],
            "uncertainty_px": doubt,
        }
        for name, point, doubt in zip(case.landmark_set.landmarks, points, uncertainty, strict=True)
    ]
    spacing = case.state.spacing
    mm = None if spacing.mm is None else list(spacing.mm)
    return {"landmarks": rows, "spacing_mm": mm, "spacing_source": spacing.source}


def _first(case: Case, values: Sequence[float]) -> list[int]:
    """Landmarks that nobody has settled first, smallest ``values`` first; the others as they come."""
    settled = [mark.state != PREDICTED for mark in case.state.marks]
    return sorted(
        range(len(values)), key=lambda index: (settled[index], values[index] * (not settled[index]))
    )

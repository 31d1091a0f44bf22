"""Reviewed films as one HTML file to print: picture, measurements, landmarks, and who did what."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from datasets.prepared.case import INDEX_TO_CONTINUOUS
from measurements.table import HEADER, UNIT_SIGNS, row
from review_page.case import Case
from review_page.exports.landmark_export import readers
from review_page.exports.prepared_export import places, reviewed_cases
from review_page.session import Session
from util.reporting.frame import facts, figure, heading, note, table, write_page
from util.reporting.visualise import encode_png, fit, overlay

_SIDE = 900  # pixels of a picture


def write_report(session: Session) -> tuple[list[str], list[str]]:
    """report.html of every reviewed film. Raises ValueError for none."""
    cases, numbers = reviewed_cases(session), session.reviewed()
    sections = [
        heading("Reviewed films", level=1),
        note("Landmarks by a model, reviewed by a person. For research; not a diagnosis."),
        facts(_about(session, cases)),
    ]
    for number, case in zip(numbers, cases, strict=True):
        sections += _film(session, session.name(number), case)
    write_page(session.folder.exports / "report.html", "Reviewed films", sections)
    return ["report.html"], ["Open it in a browser to print it or to save it as PDF."]


def _about(session: Session, cases: Sequence[Case]) -> dict[str, str]:
    model, measurer = session.predictions.model, session.measurer.measurer
    analyses = "none" if measurer is None else ", ".join(one.title for one in measurer.analyses)
    return {
        "Films": f"{len(cases)} of {len(session.cases)}",
        "Reader": ", ".join(readers(cases)) or "unnamed",
        "Model": f"{model.get('checkpoint', 'none')}, learnt from {model.get('labels', 'unknown')} labels",
        "Landmark set": f"{session.landmark_set.name}, {len(session.landmark_set)} landmarks",
        "Analysis": analyses,
    }


def _film(session: Session, name: str, case: Case) -> list[str]:
    analysis = session.measurer.analysis_of(case)
    drawn = fit(_picture(session, case, analysis), _SIDE)
    spacing = case.state.spacing
    known = "unknown" if spacing.mm is None else f"{spacing.mm[0]:.4f} x {spacing.mm[1]:.4f} mm a pixel"
    parts = [
        heading(name),
        facts(
            {
                "State": case.state.image + (", flagged" if case.state.flag["flagged"] else ""),
                "Note": case.state.flag["note"] or "-",
                "Scale": f"{known} ({spacing.source})",
            }
        ),
        figure(encode_png(drawn), f"{name}: landmarks green, lines of the analysis yellow."),
    ]
    if analysis is not None:
        parts += [heading(analysis["title"], level=3), table(HEADER, map(row, analysis["measurements"]))]
    landmarks = ("landmark", "x, px", "y, px", "state", "moved", "reader", "note")
    history = ("when (UTC)", "who", "what")
    return [
        *parts,
        heading("Landmarks", level=3),
        table(landmarks, (_landmark(case, one) for one in case.landmarks())),
        heading("History", level=3),
        table(history, ((one["time"], one["reader"] or "-", one["text"]) for one in case.history())),
    ]


def _picture(session: Session, case: Case, analysis: Mapping[str, Any] | None) -> np.ndarray:
    image, points = session.images.source(case.film).image, places(case)
    if analysis is None:
        return overlay(image, points + INDEX_TO_CONTINUOUS)
    from util.reporting.landmarks.measurement_figures import tracing_picture

    return tracing_picture(image, points, analysis["tracing"])


def _landmark(case: Case, one: Mapping[str, Any]) -> tuple[str, ...]:
    pixels, mm = one["moved_px"], case.moved_mm(one["index"])
    far = "-" if pixels is None else f"{pixels:.1f} px"
    if mm is not None:
        far = f"{mm:.2f}{UNIT_SIGNS['mm']}"
    place = ("-", "-") if one["x"] is None else (f"{one['x']:.1f}", f"{one['y']:.1f}")
    name = case.landmark_set.landmarks[one["index"]]
    return (name, *place, one["state"], far, one["reader"] or "-", one["note"] or "-")

"""Landmarks as markups of 3D Slicer, a file a film (its schema for fiducials, version 1.0.3)."""

import json
from pathlib import Path

from review_page.case import Case
from review_page.exports.prepared_export import file_stem, places, reviewed_cases
from review_page.session import Session
from util.files import write_atomic

_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
_TURN = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0]  # as Slicer writes points in LPS


def write_all_markups(session: Session) -> tuple[list[str], list[str]]:
    """NAME.mrk.json of every reviewed film."""
    names = [write_markups(session.folder.exports, case).name for case in reviewed_cases(session)]
    return names, ["Millimetres from the first pixel; pixels where a film has no spacing."]


def write_markups(folder: Path, case: Case) -> Path:
    """A point a landmark; one without a place is there and undefined."""
    mm = case.state.spacing.mm
    unit = (1.0, 1.0) if mm is None else mm
    points = []
    for index, (x, y) in enumerate(places(case).tolist()):
        known = x == x  # not NaN
        mark = case.state.marks[index]
        points.append(
            {
                "id": str(index + 1),
                "label": case.landmark_set.abbreviations[index],
                "description": f"{case.landmark_set.landmarks[index]}, {mark.state}",
                "associatedNodeID": "",
                "position": [x * unit[0], y * unit[1], 0.0] if known else [0.0, 0.0, 0.0],
                "orientation": _TURN,
                "selected": True,
                "locked": True,
                "visibility": known,
                "positionStatus": "defined" if known else "undefined",
            }
        )
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(points),
        "controlPoints": points,
    }
    file = folder / f"{file_stem(case)}.mrk.json"
    write_atomic(
        file, json.dumps({"@schema": _SCHEMA, "markups": [markup]}, indent=1, allow_nan=False) + "\n"
    )
    return file

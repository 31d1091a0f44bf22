"""Landmarks as markups of 3D Slicer, a file a film (its schema for fiducials, version 1.0.3)."""

import json
from pathlib import Path

from datasets.landmarks.exports.matching import slicer_spacing
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
    return names, [
        "Millimetres from the first pixel in the spacing of each film's own file, as in 3D Slicer; pixels "
        "where it has none. A calibration or --spacing does not count there."
    ]


def write_markups(folder: Path, case: Case) -> Path:
    """A point a landmark, in the spacing that Slicer has; one without a place is there and undefined."""
    points = []
    for index, (x, y) in enumerate((places(case) * slicer_spacing(case.film.file)).tolist()):
        known = x == x  # not NaN
        mark = case.state.marks[index]
        points.append(
            {
                "id": str(index + 1),
                "label": case.landmark_set.abbreviations[index],
                "description": f"{case.landmark_set.landmarks[index]}, {mark.state}",
                "associatedNodeID": "",
                "position": [x, y, 0.0] if known else [0.0, 0.0, 0.0],
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

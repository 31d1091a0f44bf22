"""The file that test.py --json writes, read back: predictions beside the truth."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.case import INDEX_TO_CONTINUOUS
from measurements.shapes import LandmarkShapes
from transforms.sample import MILLIMETRES
from util.evaluation.landmarks.metrics import Errors
from util.evaluation.landmarks.unit_names import named_as_mm
from util.prediction.landmarks.measuring import shapes_of


def errors_of_file(file: Path) -> tuple[Errors, LandmarkSet]:
    """The errors in ``file``, in mm, and of which landmarks.

    Raises ValueError for a file that is missing or something else.
    """
    content = read_prediction_file(file)
    if content.get("unit", MILLIMETRES) != MILLIMETRES:
        raise ValueError(
            f"{file}: lengths in {content['unit']}, expected mm. Evaluate data of known spacing."
        )
    points = {
        name: np.array(content["points"][name], np.float64) for name in ("predicted", "truth")
    }  # null: NaN
    errors = Errors(
        cases=tuple(content["cases"]),
        predicted=points["predicted"] + INDEX_TO_CONTINUOUS,
        truth=points["truth"] + INDEX_TO_CONTINUOUS,
        spacing=np.array(content["spacing_mm"], np.float64),
        uncertainty_mm=np.array(content["uncertainty_mm"], np.float64),
    )
    return errors, LandmarkSet.from_dict(content["landmark_set"], source=str(file))


def shapes_of_file(file: Path) -> LandmarkShapes:
    """The landmark shapes of the model whose predictions are in ``file``; those that ship where it has none.

    Raises ValueError as ``read_prediction_file``, and for shapes that are not as written.
    """
    return shapes_of(read_prediction_file(file), str(file))


def read_prediction_file(file: Path) -> dict[str, Any]:
    """The content of a file of test.py --json for landmarks, as JSON. Raises ValueError for another."""
    if not file.is_file():
        raise ValueError(f"{file} not found. Give a file that test.py --json wrote.")
    try:
        content = named_as_mm(json.loads(file.read_text(encoding="utf-8")))
        count = len(content["cases"])
        arrays = [content["points"]["predicted"], content["points"]["truth"], content["spacing_mm"]]
        arrays.append(content["uncertainty_mm"])
        content["landmark_set"]["landmarks"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file}: not the landmarks of an evaluation ({type(error).__name__}: {error}). Give a "
            "file that test.py --json wrote."
        ) from error
    if count == 0 or any(len(array) != count for array in arrays):
        raise ValueError(f"{file}: {count} cases, but its arrays are of other lengths. Evaluate again.")
    return content

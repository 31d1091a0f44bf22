"""What a DICOM display shutter leaves to be seen (PS3.3 C.7.6.11): the rest is no anatomy."""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from datasets.files.dicom_spacing import numbers

if TYPE_CHECKING:
    from pydicom import Dataset

_EDGES = (
    "ShutterLeftVerticalEdge",
    "ShutterRightVerticalEdge",
    "ShutterUpperHorizontalEdge",
    "ShutterLowerHorizontalEdge",
)


def shut_out(dataset: "Dataset", shape: tuple[int, int]) -> np.ndarray | None:
    """(H, W) bool where the shutter hides the image; None where there is none, or nothing would be left.

    Several shapes leave what is within all of them. Raises ValueError naming a tag that is no number.
    """
    within = [look(dataset, shape) for look in (_rectangle, _circle, _polygon)]
    seen = [part for part in within if part is not None]
    if not seen:
        return None
    hidden = ~np.logical_and.reduce(seen)
    return hidden if hidden.any() and not hidden.all() else None


def _rectangle(dataset: "Dataset", shape: tuple[int, int]) -> np.ndarray | None:
    """Edges are numbers of columns and rows, from 1; those named are still seen."""
    edges = [numbers(dataset, keyword) for keyword in _EDGES]
    if not _says(dataset, "RECTANGULAR") or any(edge is None for edge in edges):
        return None
    left, right, top, below = (int(edge[0]) for edge in edges if edge is not None)
    seen = np.zeros(shape, bool)
    seen[max(top - 1, 0) : max(below, 0), max(left - 1, 0) : max(right, 0)] = True
    return seen


def _circle(dataset: "Dataset", shape: tuple[int, int]) -> np.ndarray | None:
    centre, radius = numbers(dataset, "CenterOfCircularShutter"), numbers(dataset, "RadiusOfCircularShutter")
    if not _says(dataset, "CIRCULAR") or centre is None or radius is None or len(centre) != 2:
        return None
    rows, columns = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius[0] ** 2


def _polygon(dataset: "Dataset", shape: tuple[int, int]) -> np.ndarray | None:
    corners = numbers(dataset, "VerticesOfThePolygonalShutter")  # row, column, row, column, ...
    if not _says(dataset, "POLYGONAL") or corners is None or len(corners) < 6 or len(corners) % 2:
        return None
    places = np.round(np.reshape(corners, (-1, 2))[:, ::-1] - 1).astype(np.int32)
    return cv2.fillPoly(np.zeros(shape, np.uint8), [places], (1,)).astype(bool)


def _says(dataset: "Dataset", shape: str) -> bool:
    stated = dataset.get("ShutterShape") or ()
    return shape in ([stated] if isinstance(stated, str) else list(stated))

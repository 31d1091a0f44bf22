"""The measurements of images whose landmarks are known: from records of ``landmark_files`` to plain data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.files.image_files import read_images
from datasets.files.ruler import by_ruler
from datasets.landmarks.landmark_set import LandmarkSet, load_landmark_set, shipped_names
from measurements.analysis import Analysis
from measurements.evaluate import Measured, facing, measure
from measurements.norm import Patient, is_number
from measurements.recipe import Names, lines_of
from measurements.records import FLAGS, Setting, inferred_names, measurement_records
from measurements.shapes import LandmarkShapes, shipped_shapes
from transforms.geometry import square_side

_NOT_AT_PATIENT = (
    *("none", "NominalScannedPixelSpacing", "ImagerPixelSpacing", "nominal"),
    *("XResolution, YResolution", "pHYs", "JFIF density"),  # of the film that was scanned
)
RULER_ERROR = 0.01  # of a spacing from a ruler (docs/measurements.md, "The millimetre")
_SELLA_NASION = (40.0, 110.0)  # mm on any head, of a child or magnified; ISBI's at 0.1 mm have 47 to 72


@dataclass(frozen=True)
class Measurer:
    """Measures images by some analyses; the landmarks are those of a set, in its order.

    Raises ValueError when an analysis cannot make a single measurement of them, or names a landmark that is
    in no set at all.
    """

    landmark_set: LandmarkSet
    analyses: Sequence[Analysis]
    patient: Patient
    shapes: LandmarkShapes
    scale_error: float | None = None  # relative SD of the spacing; None: as its source has it

    def __post_init__(self) -> None:
        for analysis in self.analyses:
            analysis.require_known(shipped_names() | self.index.keys())
            analysis.of_landmarks(self.index)

    @property
    def index(self) -> dict[str, int]:
        """Name or abbreviation -> number of the landmark, from 0."""
        numbered = range(len(self.landmark_set))
        names = dict(zip(self.landmark_set.landmarks, numbered, strict=True))
        return names | dict(zip(self.landmark_set.abbreviations, numbered, strict=True))

    def __call__(self, image: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
        """The measurements of an ``image`` record, an analysis each. Raises ValueError, beginning with
        ``where``, when its landmarks are not those of the set, it cannot be told where the face looks, or no
        analysis has the landmarks of a single measurement.
        """
        spacing = image.get("spacing_mm")
        points, unit, covariances = self.placed(image, where)
        setting = Setting(
            self.patient,
            self._inferred(),
            scale_known(image),
            self.scale_error_of(image),
            scale_likely=not spacing or self.of_a_head(points * unit),
        )
        measured = [measure(analysis, (points * unit)[None], self.index) for analysis in self.analyses]
        self._require_something(measured, points * unit, where)
        return [
            self._record(analysis, one, points, covariances, setting, has_spacing=bool(spacing))
            for analysis, one in zip(self.analyses, measured, strict=True)
        ]

    def placed(self, image: Mapping[str, Any], where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(K, 2) pixels, (2,) mm a pixel or ones where it is unknown, and (1, K, 2, 2) covariances in the
        square of that unit. Raises ValueError, beginning with ``where``, for landmarks of another set.
        """
        points, uncertainty = self._landmarks(image, where)
        unit = np.array(image.get("spacing_mm") or (1.0, 1.0), np.float64)
        covariances = self.shapes.of(self.landmark_set.abbreviations).covariances(
            (points * unit)[None], (uncertainty * square_side(unit))[None]
        )
        return points, unit, covariances

    def scale_error_of(self, image: Mapping[str, Any]) -> float:
        """Relative standard deviation of a record's spacing: as asked for, or else that of a ruler, or 0."""
        if self.scale_error is not None:
            return self.scale_error
        return RULER_ERROR if _by_a_ruler(image) else 0.0

    def of_a_head(self, points_mm: np.ndarray) -> bool:
        """Whether sella and nasion are as far apart as on a head; true where that cannot be told."""
        if not {"sella", "nasion"} <= self.index.keys():
            return True
        length = np.linalg.norm(points_mm[self.index["sella"]] - points_mm[self.index["nasion"]])
        return not (length < _SELLA_NASION[0] or length > _SELLA_NASION[1])

    def _require_something(self, measured: Sequence[Measured], points_mm: np.ndarray, where: str) -> None:
        """Raise ValueError, beginning with ``where``, where a face has no side or nothing can be measured."""
        empty = all(np.isnan(one.values).all() for one in measured)
        for one in measured:
            if empty or self._sideless(one.analysis, points_mm):
                raise ValueError(
                    f"{where}: nothing of {one.analysis.name!r} can be measured: its landmarks are missing, "
                    f"or {one.analysis.facing} lie on one line. Look at the picture."
                )

    def _record(
        self,
        analysis: Analysis,
        measured: Measured,
        points: np.ndarray,
        covariances: np.ndarray,
        setting: Setting,
        *,
        has_spacing: bool,
    ) -> dict[str, Any]:
        """What one analysis comes to, null for what the image lacks the landmarks of."""
        names = self.landmark_set.abbreviations
        return {
            "analysis": analysis.name,
            "title": analysis.title,
            "measurements": measurement_records(
                measured, covariances, names, setting, has_spacing=has_spacing
            ),
            "not_measured": analysis.missing(self.index),
            "tracing": self._tracing(measured, points),
        }

    def _tracing(self, measured: Measured, points: np.ndarray) -> list[dict[str, Any]]:
        """The lines that the measurements run along, in pixels of index coordinates; points: (K, 2)."""
        names = measured.analysis.names
        lines = set().union(*(lines_of(m.recipe, names) for m in measured.analysis.measurements))
        ends = [
            (f"{start}>{end}", self._place(start, names, points), self._place(end, names, points))
            for start, end in sorted(lines)
        ]
        return [
            {"line": line, "from": start.tolist(), "to": end.tolist()}
            for line, start, end in ends
            if np.isfinite([start, end]).all()
        ]

    def _place(self, point: str, names: Names, points: np.ndarray) -> np.ndarray:
        """(2,) a landmark, or the middle of two points."""
        if point not in names.points:
            return points[self.index[point]]
        return np.mean([self._place(part, names, points) for part in names.points[point]], axis=0)

    def _inferred(self) -> frozenset[str]:
        """The landmarks whose names were inferred, by abbreviation and by name, as recipes have either."""
        short = inferred_names(self.landmark_set.name)
        both = zip(self.landmark_set.landmarks, self.landmark_set.abbreviations, strict=True)
        return short | {name for name, abbreviation in both if abbreviation in short}

    def _sideless(self, analysis: Analysis, points_mm: np.ndarray) -> bool:
        """Whether the landmarks that say where a face looks are there and say nothing."""
        if analysis.facing is None or not all(name in self.index for name in analysis.facing):
            return False
        triple = [self.index[name] for name in analysis.facing]
        return bool(np.isfinite(points_mm[triple]).all() and np.isnan(facing(points_mm[None], triple))[0])

    def _landmarks(self, image: Mapping[str, Any], where: str) -> tuple[np.ndarray, np.ndarray]:
        """(K, 2) pixels and (K,) predicted errors in pixels of one record; NaN where it has null."""
        rows = image["landmarks"]
        names = [row["name"] for row in rows]
        if names != list(self.landmark_set.landmarks):
            raise ValueError(
                f"{where}: {len(names)} landmarks that are not those of {self.landmark_set.name!r} in their "
                "order. Give each image the same ones; missing ones have null for x and y."
            )
        columns = [[row.get(key) for row in rows] for key in ("x", "y", "uncertainty_px")]
        x, y, uncertainty = (np.array(column, np.float64) for column in columns)  # None becomes NaN
        return np.stack([x, y], axis=-1), uncertainty

    def to_dict(self) -> dict[str, Any]:
        """What measurements rest on, JSON-ready."""
        return {
            "analyses": [
                {"name": analysis.name, "title": analysis.title, "source": analysis.source}
                for analysis in self.analyses
            ],
            "patient": vars(self.patient),
            "landmark_shapes": self.shapes.source,
            "scale_error": self.scale_error,
            "flags": FLAGS,
        }


def scale_known(image: Mapping[str, Any]) -> bool:
    """Whether a record's millimetres are those of the patient, not those of a detector or of nobody."""
    source = str(image.get("spacing_source", ""))
    return bool(image.get("spacing_mm")) and source not in _NOT_AT_PATIENT


def _by_a_ruler(image: Mapping[str, Any]) -> bool:
    """Whether a record's spacing is from a ruler: one that ``--ruler`` found, or that was clicked on."""
    return str(image.get("spacing_source", "")).removeprefix("--").split(" ")[0] == "ruler"


def by_its_ruler(image: Mapping[str, Any], pitch_mm: float) -> dict[str, Any]:
    """An ``image`` record with the spacing that a ruler on its picture tells, teeth ``pitch_mm`` apart.

    The file is read again. Raises ValueError naming it where it cannot be, where its picture is of another
    size than the record's, or no ruler is clear.
    """
    file, number = Path(image["file"]), image.get("slice")
    before = image.get("spacing_mm")
    source = next((one for one in read_images(file, before) if one.slice == number), None)
    if source is None:
        raise ValueError(f"{file}: no slice {number} any more. Find its landmarks again.")
    height, width = source.image.shape
    size = image.get("width", width), image.get("height", height)
    if size != (width, height):
        raise ValueError(
            f"{file}: {width}x{height} pixels, but its landmarks were found on {size[0]}x{size[1]}. Find "
            "them again."
        )
    found = by_ruler(source, pitch_mm)
    rows = [_in_mm(row, found.spacing, before) for row in image["landmarks"]]
    about = {"spacing_mm": found.spacing.tolist(), "spacing_source": found.spacing_source}
    return {**image, **about, "landmarks": rows}


def _in_mm(row: Mapping[str, Any], spacing: np.ndarray, before: Sequence[float] | None) -> dict[str, Any]:
    """A landmark of a record with its lengths by another ``spacing`` of the shape that it had ``before``."""
    side = square_side(spacing)
    grown = None if before is None else side / square_side(np.array(before))
    factors = (
        *(("x_mm", "x", spacing[0]), ("y_mm", "y", spacing[1]), ("uncertainty_mm", "uncertainty_px", side)),
        ("moved_mm", "moved_mm", grown),  # of a review
    )
    new = {
        key: None if row[of] is None or factor is None else float(row[of] * factor)
        for key, of, factor in factors
        if key in row
    }
    return {**row, **new}


def read_landmark_file(file: Path) -> dict[str, Any]:
    """A file that inference.py wrote. Raises ValueError for one that is missing or something else."""
    if not file.is_file():
        raise ValueError(f"{file} not found. Give the landmarks.json that inference.py wrote.")
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        names = [[row["name"] for row in image["landmarks"]] for image in content["images"]]
        content["model"]["landmark_set"].casefold()
        content["model"].get("abbreviations", {}).keys()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{file}: not the landmarks of images ({type(error).__name__}: {error}). Give the landmarks.json "
            "that inference.py wrote."
        ) from error
    if not names:
        raise ValueError(f"{file}: no image in it, expected at least one. Run inference.py again.")
    for number, image in enumerate(content["images"], start=1):
        _require_record(image, f"{file}: image {number}")
    return content


def _require_record(image: Mapping[str, Any], where: str) -> None:
    """Raise ValueError, beginning with ``where``, for what measurements cannot rest on."""
    if not isinstance(image.get("file"), str):
        raise ValueError(f"{where}: file {image.get('file')!r}, expected the path of the image.")
    spacing = image.get("spacing_mm")
    pair = (
        isinstance(spacing, list) and len(spacing) == 2 and all(is_number(one) and one > 0 for one in spacing)
    )
    if spacing is not None and not pair:
        raise ValueError(
            f"{where}: spacing_mm {spacing!r}, expected [x, y], two numbers above 0, or null where it is "
            "unknown."
        )
    for row in image["landmarks"]:
        x, y, uncertainty = (row.get(key) for key in ("x", "y", "uncertainty_px"))
        numbers = all(one is None or is_number(one) for one in (x, y, uncertainty))
        if not numbers or (x is None) != (y is None) or (uncertainty or 0) < 0:
            raise ValueError(
                f"{where}: {row['name']} with x {x!r}, y {y!r}, uncertainty_px {uncertainty!r}, expected "
                "numbers, the last not below 0. Missing ones are null."
            )


def landmark_set_of(content: Mapping[str, Any]) -> LandmarkSet:
    """The landmark set of a landmark file: the shipped one of its name, or else the names in the file.

    The latter have the abbreviations that the file's model says, or that the shipped set has for all of them.
    """
    name = content["model"]["landmark_set"]
    names = tuple(row["name"] for row in content["images"][0]["landmarks"])
    short = content["model"].get("abbreviations", {})
    try:
        shipped = load_landmark_set(name)
    except ValueError:
        pass
    else:
        if shipped.landmarks == names:
            return shipped
        short = short or dict(zip(shipped.landmarks, shipped.abbreviations, strict=True))
    return LandmarkSet(
        name, names, tuple(short[one] for one in names) if short.keys() >= set(names) else names
    )


def shapes_of(model: Mapping[str, Any], where: str) -> LandmarkShapes:
    """The landmark shapes that a model carries; those that ship where it carries none."""
    carried = model.get("landmark_shapes")
    return shipped_shapes() if carried is None else LandmarkShapes.from_dict(carried, where)

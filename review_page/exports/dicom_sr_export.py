"""Landmarks and measurements of a DICOM film as a structured report (TID 1500), for archives.

Needs highdicom, an extra (requirements-review.txt). DICOM has no codes for most cephalometric landmarks and
angles: they carry private ones (99CEPHDETR), whose meaning is spelt out.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from datasets.files.dicom_files import read_dicom, require_identity
from review_page.case import Case
from review_page.exports.prepared_export import file_stem, places, reviewed_cases
from review_page.films import is_dicom
from review_page.session import Session
from util.files import write_atomic

_SCHEME = "99CEPHDETR"
_UNITS = {
    "deg": Code("deg", "UCUM", "degree"),
    "mm": Code("mm", "UCUM", "millimeter"),
    "ratio": Code("1", "UCUM", "no units"),
}
_MAKER = "CephDETR"
_LIBRARY_TAG = "PatientOrientation"  # a list of images in the report holds it; without it there is no list


def write_all_reports(session: Session) -> tuple[list[str], list[str]]:
    """NAME.dcm of every reviewed film that is a DICOM file to which a report can refer, and what to know.

    Raises ValueError for none.
    """
    cases = [case for case in reviewed_cases(session) if is_dicom(case.film.file)]
    if not cases:
        raise ValueError("No reviewed film is a DICOM file, and a structured report refers to one.")
    names, refusals = [], []
    for case in cases:
        file = session.folder.exports / f"{file_stem(case)}.dcm"
        try:
            write_report(file, case, session.measurer.of(case).rows, session.settings.reader)
            names.append(file.name)
        except ValueError as refusal:
            refusals.append(str(refusal))
    if not names:
        raise ValueError(refusals[0])
    return names, ["DICOM has no codes of most of these landmarks: private ones name them.", *refusals]


def write_report(file: Path, case: Case, rows: Sequence[Mapping[str, Any]], reader: str) -> None:
    """A POINT a landmark that has a place, and ``rows`` of measurements (``CaseMeasurer``), each with its SD.

    Raises ValueError without highdicom, for a film of several frames and for one without identity.
    """
    sr = _highdicom(file)
    source = read_dicom(case.film.file)
    if case.film.slice is not None:
        raise ValueError(f"{case.name}: one of several frames; reports are written of films of one frame.")
    require_identity(source, case.name)
    groups = [*_points(sr, case, source), *_measurements(sr, case, rows, source)]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_person_context=_observer(sr, reader)),
        procedure_reported=_private("Cephalometric radiograph"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=[source] if _LIBRARY_TAG in source else None,
    )
    report = sr.ComprehensiveSR(
        evidence=[source],
        content=content[0],
        series_instance_uid=generate_uid(),
        series_number=901,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=_MAKER,
        is_complete=True,
    )
    stream = io.BytesIO()
    report.save_as(stream)
    write_atomic(file, stream.getvalue())


def _highdicom(file: Path) -> Any:
    try:
        import highdicom.sr
    except ImportError as error:
        raise ValueError(
            f"{file}: needs highdicom. Install it: pip install -r requirements-review.txt."
        ) from error
    return highdicom.sr


def _observer(sr: Any, reader: str) -> Any:
    attributes = sr.PersonObserverIdentifyingAttributes(
        name=f"{(reader or 'unnamed').replace('^', ' ')[:60]}^"
    )
    return sr.ObserverContext(observer_type=codes.DCM.Person, observer_identifying_attributes=attributes)


def _algorithm(sr: Any, case: Case) -> Any:
    model = case.model.get("checkpoint", "unknown")
    return sr.AlgorithmIdentification(
        name=f"{_MAKER} {model}"[:64], version=str(case.model.get("sha256", "1"))[:16]
    )


def _points(sr: Any, case: Case, source: Any) -> list[Any]:
    """A group a landmark: its place, and what was said of it."""
    image = sr.SourceImageForRegion.from_source_image(source)
    groups = []
    for index, place in enumerate(places(case)):
        if not np.isfinite(place).all():
            continue
        name, mark = case.landmark_set.landmarks[index], case.state.marks[index]
        region = sr.ImageRegion(
            graphic_type="POINT",
            graphic_data=place[None] + 0.5,  # DICOM counts from the corner of the first pixel
            source_image=image,
        )
        state = sr.QualitativeEvaluation(name=_private("Review state"), value=_private(mark.state))
        groups.append(
            sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=sr.TrackingIdentifier(identifier=name, uid=generate_uid()),
                referenced_region=region,
                finding_type=_private(name),
                algorithm_id=_algorithm(sr, case),
                qualitative_evaluations=[state],
            )
        )
    return groups


def _measurements(sr: Any, case: Case, rows: Sequence[Mapping[str, Any]], source: Any) -> list[Any]:
    found = [number for row in rows for number in _numbers(sr, row)]
    if not found:
        return []
    image = sr.SourceImageForMeasurementGroup.from_source_image(source)
    return [
        sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(
                identifier="cephalometric analysis", uid=generate_uid()
            ),
            finding_type=_private("Cephalometric analysis"),
            algorithm_id=_algorithm(sr, case),
            measurements=found,
            source_images=[image],
        )
    ]


def _numbers(sr: Any, row: Mapping[str, Any]) -> list[Any]:
    """The value, and its standard deviation as a number derived so."""
    if row["value"] is None:
        return []
    name, unit = _private(row["code"], row["name"]), _UNITS[row["unit"]]
    numbers = [sr.Measurement(name=name, value=row["value"], unit=unit)]
    if row["sd"] is not None:
        derivation = codes.SCT.StandardDeviation
        numbers.append(sr.Measurement(name=name, value=row["sd"], unit=unit, derivation=derivation))
    return numbers


def _private(text: str, meaning: str = "") -> Code:
    value = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").upper()[:16]
    return Code(value, _SCHEME, (meaning or text)[:64])

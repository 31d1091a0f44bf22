"""What can be taken out of a review, by name."""

from collections.abc import Callable, Mapping

from review_page.exports.landmark_export import write_csv, write_json
from review_page.exports.markups_export import write_all_markups
from review_page.exports.prepared_export import write_prepared_folder
from review_page.exports.report_export import write_report
from review_page.session import Session

Export = Callable[[Session], tuple[list[str], list[str]]]


def _dicom_sr(session: Session) -> tuple[list[str], list[str]]:
    from review_page.exports.dicom_sr_export import write_all_reports  # its codes take half a second

    return write_all_reports(session)


EXPORTS: Mapping[str, Export] = {
    "json": write_json,
    "csv": write_csv,
    "prepared": write_prepared_folder,
    "report": write_report,
    "mrk": write_all_markups,
    "sr": _dicom_sr,
}

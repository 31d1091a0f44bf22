"""What can be taken out of a review, by name."""

from collections.abc import Callable, Mapping

from review_page.exports.landmark_export import write_csv, write_json
from review_page.session import Session

Export = Callable[[Session], tuple[list[str], list[str]]]

EXPORTS: Mapping[str, Export] = {"json": write_json, "csv": write_csv}

"""What models found on the films: from a landmarks.json that is given, or made here and kept in the folder.

A file that is given is read and never written.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets.landmarks.landmark_set import LandmarkSet
from review_page.case_state import PredictedPoint
from review_page.films import Film
from util.files import GrowingFile, printable, write_atomic
from util.prediction.landmarks.measuring import landmark_set_of, read_landmark_file

Record = Mapping[str, Any]  # one image as inference.py writes it


@dataclass
class Predictions:
    """Records by the key of their film, and the model that they are of."""

    landmark_set: LandmarkSet
    model: dict[str, Any]  # as landmarks.json has it
    records: dict[str, Record] = field(default_factory=dict)

    def points(self, film: Film) -> list[PredictedPoint | None]:
        """K predicted points, None each where the film has no prediction."""
        record = self.records.get(film.key)
        return [None] * len(self.landmark_set) if record is None else points_of_record(record)

    def about(self) -> dict[str, Any]:
        """What a log says of the model."""
        return {key: self.model[key] for key in ("checkpoint", "labels", "sha256") if key in self.model}


def points_of_record(record: Record) -> list[PredictedPoint | None]:
    """The landmarks of one image record; None where it has null."""
    return [
        None
        if row["x"] is None or row["y"] is None
        else PredictedPoint(float(row["x"]), float(row["y"]), row.get("uncertainty_px"))
        for row in record["landmarks"]
    ]


def read_given(file: Path, films: Sequence[Film]) -> Predictions:
    """The predictions of ``films`` in a landmarks.json.

    Raises ValueError for another kind of file and for one whose images are none of the films.
    """
    content = read_landmark_file(file)
    landmark_set = landmark_set_of(content)
    for image in content["images"]:
        if tuple(row["name"] for row in image["landmarks"]) != landmark_set.landmarks:
            raise ValueError(
                f"{file}: {image.get('file')} has other landmarks than the file's first image, expected the "
                f"{len(landmark_set)} of {landmark_set.name!r}. Run inference.py again."
            )
    found = Predictions(landmark_set, dict(content["model"]), _matched(content["images"], films))
    if not found.records:
        raise ValueError(
            f"{file}: its {len(content['images'])} images, such as {content['images'][0].get('file')!r}, are "
            f"none of the {len(films)} films, such as {films[0].name!r}. Give the predictions of this folder."
        )
    return found


def _matched(images: Iterable[Record], films: Sequence[Film]) -> dict[str, Record]:
    """By the whole path, or else by a file name that only one film and one record have."""
    images = list(images)
    by_path = {(str(Path(image["file"]).resolve()), image.get("slice")): image for image in images}
    names = Counter((Path(image["file"]).name, image.get("slice")) for image in images)
    film_names = Counter((printable(film.file.name), film.slice) for film in films)
    by_name = {(Path(image["file"]).name, image.get("slice")): image for image in images}
    found: dict[str, Record] = {}
    for film in films:
        name = printable(film.file.name), film.slice
        record = by_path.get((printable(film.file.resolve()), film.slice))
        if record is None and names[name] == film_names[name] == 1:
            record = by_name[name]
        if record is not None:
            found[film.key] = record
    return found


class OwnPredictions:
    """predictions.jsonl in the review folder: a head, then a record a line, so that a kill costs one film."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> Predictions | None:
        """None where there are none yet. A last line that was cut short is left out."""
        try:
            content = self.file.read_bytes()
        except FileNotFoundError:
            return None
        lines = content[: content.rfind(b"\n") + 1].splitlines()
        if not lines:
            return None
        try:
            head, *rows = (json.loads(line) for line in lines)
            landmark_set = LandmarkSet.from_dict(head["landmark_set"], str(self.file))
            return Predictions(landmark_set, head["model"], {row["key"]: row["record"] for row in rows})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.file}: not the predictions of a review ({error!r}). Remove it to make them anew."
            ) from error

    def write(self, predictions: Predictions) -> None:
        """Whole, in place of what is there."""
        head = {"landmark_set": predictions.landmark_set.to_dict(), "model": predictions.model}
        rows = [{"key": key, "record": record} for key, record in predictions.records.items()]
        write_atomic(self.file, "".join(json.dumps(row, allow_nan=False) + "\n" for row in (head, *rows)))
        self.file.chmod(0o600)

    def add(self, film: Film, record: Record) -> None:
        """One more film; on the disk when this returns. Raises WriteError where there is no room."""
        line = json.dumps({"key": film.key, "record": record}, allow_nan=False).encode() + b"\n"
        GrowingFile(self.file, mode=0o600).append(line)

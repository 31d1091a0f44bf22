"""Files of ``image_name,class,rle``: a row for every image and every class, as the hand task wants them."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from util.files import open_atomic
from util.prediction.masks.run_lengths import encode_rows, parse_runs, runs_to_text, vote

COLUMNS = ("image_name", "class", "rle")
_LONGEST_ROW = 1 << 27  # characters; the csv module's own limit is 128 KiB
_MOST_FAULTS = 20


def write_submission(
    file: Path, classes: Sequence[str], images: Iterable[tuple[str, Iterable[np.ndarray]]]
) -> int:
    """Write all classes of every image, and return the number of rows; one mask is in memory at a time.

    images: base names with their suffix, and K masks (H, W) bool in the order of ``classes``. A class without
    a pixel has an empty cell, but a row.
    """
    count = 0
    with open_atomic(file) as stream:
        stream.write(_line(COLUMNS))
        for name, masks in images:
            for structure, mask in zip(classes, masks, strict=True):
                stream.write(_line((name, structure, encode_rows(mask))))
                count += 1
    return count


class Submission:
    """A file of rows, any of which can be read at once; what is kept in memory is where each begins.

    Raises ValueError for a file that is not of this kind, or has a row twice.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._places: dict[tuple[str, str], int] = {}
        if not file.is_file():
            raise ValueError(f"{file}: no such file. Check the path.")
        with file.open("rb") as stream:
            header = stream.readline().decode("utf-8-sig", errors="replace").strip()
            if tuple(title.strip('"') for title in header.split(",")) != COLUMNS:
                raise ValueError(f"{file}: first line {header[:80]!r}, expected {','.join(COLUMNS)}.")
            place = stream.tell()
            for number, line in enumerate(iter(stream.readline, b""), start=2):
                self._add(line, place, number)
                place = stream.tell()

    def _add(self, line: bytes, place: int, number: int) -> None:
        if not line.strip():
            return
        name, structure, _ = _cells(line, f"{self.file}: line {number}")
        if (name, structure) in self._places:
            raise ValueError(f"{self.file}: line {number}: a second row of {name}, {structure}.")
        self._places[name, structure] = place

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Image and class of every row, in order."""
        return list(self._places)

    def text(self, name: str, structure: str) -> str:
        """The run lengths of one row, not looked at."""
        with self.file.open("rb") as stream:
            stream.seek(self._places[name, structure])
            return _cells(stream.readline(), str(self.file))[2]

    def runs(self, name: str, structure: str, num_pixels: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Starts and lengths of one row. Raises ValueError naming file and row for unsound ones."""
        where = f"{self.file}: {name}, {structure}"
        return parse_runs(self.text(name, structure), num_pixels, where)


def faults(
    file: Path,
    names: Sequence[str],
    classes: Sequence[str],
    size: tuple[int, int] | Mapping[str, tuple[int, int]] | None,
) -> Iterator[str]:
    """What is wrong with a file that should hold ``names`` times ``classes`` rows; nothing for a sound one.

    size: (width, height) of all masks, or of each image by its name; None where unknown. At most 20 rows are
    told.
    """
    try:
        submission = Submission(file)
    except ValueError as error:
        yield str(error)
        return
    expected = {(name, structure) for name in names for structure in classes}
    there = set(submission.keys)
    for kind, rows in (("missing", expected - there), ("not asked for", there - expected)):
        if rows:
            shown = "; ".join(map(", ".join, sorted(rows)[:3])) + ("; ..." if len(rows) > 3 else "")
            yield f"{file}: {len(rows)} rows {kind}, of {len(expected)} expected ({shown})"
    if there and not {structure for _, structure in there} & set(classes):
        yield f"{file}: none of its classes is expected. Name them: --classes A B ..."
    found = 0
    for name, structure in submission.keys:
        try:
            own = size.get(name) if isinstance(size, Mapping) else size
            submission.runs(name, structure, own and own[0] * own[1])
        except ValueError as error:
            found += 1
            if found <= _MOST_FAULTS:
                yield str(error)
    if found > _MOST_FAULTS:
        yield f"{file}: {found - _MOST_FAULTS} more rows with unsound run lengths"


def vote_files(
    files: Sequence[Path],
    output: Path,
    *,
    weights: Sequence[float] | None = None,
    share: float = 0.5,
    size: tuple[int, int] | None = None,
) -> int:
    """Write the majority of several files, row by row, and return the number of rows.

    A pixel is set where more than ``share`` of the weights' sum set it (``run_lengths.vote``). An empty row
    is a vote against. Raises ValueError unless all files have the same rows, in any order, and for weights
    that are not one positive number a file.
    """
    weights = [1.0] * len(files) if weights is None else list(weights)
    sound = all(0 < weight < math.inf for weight in weights)
    if len(weights) != len(files) or not sound or len(files) < 2:
        raise ValueError(
            f"{len(files)} files and weights {weights}: expected two files or more, and one positive weight "
            "each."
        )
    if not 0.0 <= share < 1.0:
        raise ValueError(f"share {share}: expected from 0 (any voter) to below 1, such as 0.5.")
    submissions = [Submission(file) for file in files]
    first = submissions[0]
    for other in submissions[1:]:
        differing = set(first.keys) ^ set(other.keys)
        if differing:
            raise ValueError(
                f"{other.file} and {first.file}: {len(differing)} rows in only one, such as "
                f"{', '.join(min(differing))}. Every voter must have every row."
            )
    num_pixels = size and size[0] * size[1]
    with open_atomic(output) as stream:
        stream.write(_line(COLUMNS))
        for name, structure in first.keys:
            rows = [submission.runs(name, structure, num_pixels) for submission in submissions]
            stream.write(_line((name, structure, runs_to_text(*vote(rows, weights, share)))))
    return len(first.keys)


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _cells(line: bytes, where: str) -> tuple[str, str, str]:
    csv.field_size_limit(_LONGEST_ROW)
    try:
        cells = next(csv.reader([line.decode("utf-8")]))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{where}: not a line of text ({error}).") from error
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{where}: {len(cells)} cells, expected {len(COLUMNS)}: {', '.join(COLUMNS)}.")
    return cells[0], cells[1], cells[2]

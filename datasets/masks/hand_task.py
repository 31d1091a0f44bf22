"""What is particular to the hand task: 29 bones, two images a person, a table of who they are.

Images lie in ``DCM/ID001/``, their polygons in ``outputs_json/ID001/`` under the same stem, and
``meta_data.xlsx`` has a row a person.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets.masks.class_set import ClassSet

FINGERS = tuple(f"finger-{number}" for number in range(1, 20))  # tip to palm, from the thumb on
CARPALS = (
    "Trapezium",
    "Trapezoid",
    "Capitate",
    "Hamate",
    "Scaphoid",
    "Lunate",
    "Triquetrum",
    "Pisiform",
)
BONES = (*FINGERS, *CARPALS, "Radius", "Ulna")
SEXES, SIDES = ("female", "male"), ("left", "right")
HAND = ClassSet("hand bones", BONES, (), {"sex": SEXES, "side": SIDES})
_ID, _SEX = ("id", "person", "patient"), ("sex", "gender", "성별")
_FEMALE, _MALE = r"f|w|female|woman|여.*", r"m|male|man|남.*"  # whole: "missing" is no man


def side_of_hand(centres: Mapping[str, tuple[float, float]]) -> str | None:
    """left or right, from where thumb and little finger are; None where one of their tips is missing.

    In the posterior-anterior view of a right hand the thumb is on the left of the image.
    """
    thumb, little = centres.get("finger-1"), centres.get("finger-16")
    if thumb is None or little is None:
        return None
    return "right" if thumb[0] < little[0] else "left"


def read_metadata(
    file: Path, persons: Iterable[str], *, needs_sex: bool = True
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Attributes of those of ``persons`` that have a row, and whose sex cannot be told from what is written.

    file: .xlsx (needs openpyxl) or .csv with a column ``ID`` and one of sex, in any usual spelling. The
    task's own table numbers the persons: 1 is ``ID001``. Raises ValueError for a file without these columns,
    with a person twice or with none of ``persons``. ``needs_sex``: otherwise a table may lack that column,
    and its persons have no attributes.
    """
    header, rows = _by_person(file, persons)
    if not needs_sex and not set(header) & set(_SEX):
        return {person: {} for person in rows}, []
    sex = _column(header, _SEX, file)
    values = {person: sex_of(_text(row[sex])) for person, row in rows.items()}
    unclear = [f"{person} ({rows[person][sex]!r})" for person, value in values.items() if value is None]
    return {person: {} if value is None else {"sex": value} for person, value in values.items()}, unclear


def read_columns(file: Path, persons: Iterable[str], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What the columns ``names`` of a table say of ``persons``, as text, by person; sex as female or male.

    Upper and lower case of titles are one. Raises ValueError for what ``read_metadata`` does, and for a
    column that is not there.
    """
    header, rows = _by_person(file, persons)
    places = [_column(header, _SEX if name.lower() in _SEX else (name.lower(),), file) for name in names]
    return {
        person: tuple(
            (sex_of(text) or "") if header[place] in _SEX else text
            for place, text in ((place, _text(row[place])) for place in places)
        )
        for person, row in rows.items()
    }


def sex_of(text: str) -> str | None:
    """female or male, from a word or a letter in English or Korean; None for anything else."""
    word = text.strip().strip("_-. ").lower()
    if re.fullmatch(_FEMALE, word):
        return "female"
    return "male" if re.fullmatch(_MALE, word) else None


def _by_person(file: Path, persons: Iterable[str]) -> tuple[list[str], dict[str, list[Any]]]:
    """Titles in lower case, and the cells of the row of each of ``persons`` that has one.

    Raises ValueError for a person twice, and where none has a row.
    """
    lines = list(_rows(file))
    if len(lines) < 2:
        raise ValueError(f"{file}: {len(lines)} rows, expected a header and a row a person.")
    header = [_text(cell).lower() for cell in lines[0]]
    place = _column(header, _ID, file)
    rows: dict[str, list[Any]] = {}
    for cells in lines[1:]:
        row = [*cells, *[None] * (len(header) - len(cells))]  # a line may be empty, or end early
        name = _text(row[place])
        if name in rows:
            raise ValueError(f"{file}: {name} has two rows, expected one.")
        if name:
            rows[name] = row
    wanted = sorted(persons)
    found = {person: rows[name] for person in wanted for name in _names_of(person) if name in rows}
    if not found:
        raise ValueError(
            f"{file}: rows of {', '.join(list(rows)[:3])}, ..., expected persons of the images, such as "
            f"{', '.join(wanted[:3])}. Correct the column {header[place].upper()}."
        )
    return header, found


def _names_of(person: str) -> tuple[str, ...]:
    """By which a table may know a person, the surest last: the folder ``ID001`` is its number 1."""
    number = re.fullmatch(r"ID0*(\d+)", person)
    return (number[1], person) if number else (person,)


def _text(cell: Any) -> str:
    """Without the signs for control characters that Excel writes, such as _x0008_."""
    return "" if cell is None else re.sub("_x00[01][0-9A-Fa-f]_", "", str(cell)).strip()


def _column(header: Sequence[str], names: Sequence[str], file: Path) -> int:
    places = [place for place, title in enumerate(header) if title in names]
    if len(places) != 1:
        raise ValueError(f"{file}: columns {list(header)}, expected one named {' or '.join(names)}.")
    return places[0]


def _rows(file: Path) -> Iterator[Sequence[Any]]:
    if not file.is_file():
        raise ValueError(f"{file}: no such file. Check the path.")
    if file.suffix.lower() == ".csv":
        try:
            with file.open(newline="", encoding="utf-8-sig") as stream:
                yield from csv.reader(stream)
        except UnicodeDecodeError as error:
            raise ValueError(f"{file}: not text in UTF-8 ({error}). Save it as CSV UTF-8.") from error
        return
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise ValueError(
            f"{file}: reading .xlsx needs openpyxl. Install it (pip install openpyxl), or save it as CSV."
        ) from error
    try:
        sheet: Any = load_workbook(file, read_only=True, data_only=True).active
        yield from sheet.iter_rows(values_only=True)
    except Exception as error:  # openpyxl lets zipfile's and xml's own errors through
        raise ValueError(f"{file}: not a readable .xlsx ({error}). Save it anew, or as CSV.") from error

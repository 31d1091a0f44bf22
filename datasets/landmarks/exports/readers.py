"""The exports of annotation tools: labelme, CVAT, COCO keypoints, tables, and 3D Slicer.

Each tool counts pixels in its own way. ``CONVENTIONS`` says how: *continuous*, the corner of the first pixel
is (0, 0) and its centre (0.5, 0.5); *index*, the centre of the first pixel is (0, 0); *one-based*, it is
(1, 1), as in MATLAB. ``TO_CONTINUOUS`` is what to add for continuous coordinates.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from datasets.landmarks.exports.annotated import Annotated, files_of, read_json_object, size_of
from datasets.prepared.case import INDEX_TO_CONTINUOUS
from util.files import printable
from util.words import first_few

CONVENTIONS = {
    "labelme": "continuous",  # points on its canvas, which begins at the corner of the picture
    "cvat": "continuous",
    "coco": "index",  # "0-indexed" in the format's description; CVAT and others export their own unchanged
    "csv": "index",
    "slicer": "index",  # millimetres from the centre of the first pixel
}
TO_CONTINUOUS = {"continuous": 0.0, "index": INDEX_TO_CONTINUOUS, "one-based": INDEX_TO_CONTINUOUS - 1.0}
_IMAGE, _NAME = ("image", "file", "filename", "file_name", "case"), ("landmark", "name", "label", "point")


def read_labelme(path: Path) -> list[Annotated]:
    """A folder of labelme's JSON files, or one: shapes of the type ``point``."""
    found = []
    for file in files_of(path, ".json"):
        with _written_by("labelme", file):
            data = read_json_object(file)
            with_points = Annotated(
                str(data.get("imagePath") or file.stem),
                printable(file),
                size=size_of(data, "imageWidth", "imageHeight"),
            )
            for shape in data.get("shapes", ()):
                kind = shape.get("shape_type", "point")
                if kind == "point" and len(shape["points"]) == 1:
                    with_points.add(shape["label"], *shape["points"][0])
                else:
                    with_points.note_shape(shape["label"], kind)
            found.append(with_points)
    return found


def read_cvat(path: Path) -> list[Annotated]:
    """``CVAT for images 1.1``: points by themselves, or those of skeletons; what is outside is missing."""
    found = []
    for file in files_of(path, ".xml"):
        with _written_by("cvat", file):
            try:
                root = ElementTree.parse(file).getroot()
            except ElementTree.ParseError as error:
                raise ValueError(f"{printable(file)}: not valid XML ({error}). Export it again.") from error
            if root.find("track") is not None:
                raise ValueError(
                    f"{printable(file)}: tracks of a video, expected images. Export it as "
                    "'CVAT for images 1.1'."
                )
            for image in root.iter("image"):
                name = image.get("name", "")
                entry = Annotated(name, f"{printable(file)}: {name}", size=size_of(image, "width", "height"))
                for points in image.iter("points"):
                    places = points.get("points", "").split(";")
                    if points.get("outside") == "1":
                        continue
                    if len(places) != 1:
                        raise ValueError(
                            f"{entry.where}: {len(places)} points under the label {points.get('label')!r}, "
                            "expected one a landmark. Give each landmark a label of its own, or a skeleton."
                        )
                    entry.add(points.get("label", ""), *places[0].split(","))
                found.append(entry)
    return found


def read_coco(path: Path) -> list[Annotated]:
    """COCO keypoints; visibility 0 is missing. Raises ValueError for two annotations of one image."""
    found = []
    for file in files_of(path, ".json"):
        with _written_by("coco", file):
            data = read_json_object(file)
            names = {category["id"]: category.get("keypoints", []) for category in data.get("categories", ())}
            entries = {
                image["id"]: Annotated(
                    image["file_name"],
                    f"{printable(file)}: {image['file_name']}",
                    size=size_of(image, "width", "height"),
                )
                for image in data.get("images", ())
            }
            for annotation in data.get("annotations", ()):
                entry, values = entries[annotation["image_id"]], annotation.get("keypoints", [])
                keypoints = names[annotation["category_id"]]
                if len(values) != 3 * len(keypoints):
                    raise ValueError(
                        f"{entry.where}: {len(values)} numbers, expected x, y, visibility for each of the "
                        f"{len(keypoints)} names of its category."
                    )
                if entry.points:
                    raise ValueError(f"{entry.where}: annotated twice, expected once. Remove one of the two.")
                for place, name in enumerate(keypoints):
                    x, y, visibility = values[3 * place : 3 * place + 3]
                    if visibility:
                        entry.add(name, x, y)
            found += entries.values()
    return found


def read_csv(path: Path) -> list[Annotated]:
    """Tables with a row a point (image, landmark, x, y) or a row an image (image, NAME_x, NAME_y, ...).

    Landmarks may be numbered in place of named, as in the tables of prepared folders (p1x, p1y, ...).
    Comma, semicolon or tab; with the latter two, a decimal comma too. Empty cells are missing. Raises
    ValueError for a column that comes twice, and for a row of more cells than there are columns.
    """
    entries: dict[str, Annotated] = {}
    for file in files_of(path, ".csv"):
        with _written_by("csv", file):
            text = file.read_text(encoding="utf-8-sig")
            delimiter = _delimiter(text.partition("\n")[0])
            rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
            names = list(rows.fieldnames or ())
            if twice := sorted({name for name in names if name.strip() and names.count(name) > 1}):
                raise ValueError(
                    f"{printable(file)}: columns {twice} come more than once. Rename or remove them."
                )
            columns = {name.strip().lower(): name for name in names}
            image = next((columns[name] for name in _IMAGE if name in columns), None)
            long = {"x", "y"} <= columns.keys()
            named = next((columns[name] for name in _NAME if name in columns), None) if long else None
            if image is None or not (named or _wide(names)):
                raise ValueError(
                    f"{printable(file)}: columns {first_few(names, 8)}, expected image, landmark, x, y, "
                    "or image and NAME_x, NAME_y (or p1x, p1y) for each landmark."
                )
            for row in rows:
                where = f"{printable(file)}, line {rows.line_num}"
                if any(cell.strip() for cell in row.get(None, ())):
                    raise ValueError(
                        f"{where}: more cells than the {len(names)} columns. Are there decimal commas "
                        "between commas? Write points, or separate the cells by semicolons."
                    )
                entry = entries.setdefault(row[image], Annotated(row[image], where))
                entry.where = where  # of this row: other rows may tell of the same image
                places = (
                    [(row[named], row[columns["x"]], row[columns["y"]])]
                    if named
                    else [(name, row[x], row[y]) for name, (x, y) in _wide(names).items()]
                )
                for name, x, y in places:
                    if (x or "").strip() or (y or "").strip():
                        if not row[image].strip():
                            raise ValueError(f"{where}: a point without an image. Name it in every row.")
                        entry.add(name, *(_number(cell, delimiter) for cell in (x, y)))
    return list(entries.values())


def read_slicer(path: Path) -> list[Annotated]:
    """3D Slicer's point lists, one ``IMAGE.mrk.json`` an image; in mm, left and posterior positive."""
    found = []
    for file in files_of(path, ".mrk.json"):
        with _written_by("slicer", file):
            entry = Annotated(file.name.removesuffix(".mrk.json"), printable(file))
            for markup in read_json_object(file).get("markups", ()):
                sign = -1.0 if markup.get("coordinateSystem") in ("RAS", "0") else 1.0
                for point in markup.get("controlPoints", ()):
                    if point.get("positionStatus", "defined") == "defined":
                        entry.add(point.get("label", ""), *(sign * value for value in point["position"][:2]))
            found.append(entry)
    return found


READERS: dict[str, Callable[[Path], list[Annotated]]] = {
    "labelme": read_labelme,
    "cvat": read_cvat,
    "coco": read_coco,
    "csv": read_csv,
    "slicer": read_slicer,
}


def read_export(tool: str, path: Path) -> list[Annotated]:
    """The annotated images in an export of ``tool``. Raises ValueError naming file and entry otherwise."""
    if not path.exists():
        raise ValueError(f"{printable(path)}: no such file or folder. Check the path.")
    return READERS[tool](path)


@contextmanager
def _written_by(tool: str, file: Path) -> Iterator[None]:
    """What ``file`` lacks to be as ``tool`` writes it, or an encoding that is not UTF-8, as a ValueError."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(f"{printable(file)}: not in UTF-8 ({error}). Save it in UTF-8.") from error
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(
            f"{printable(file)}: not as {tool} writes it ({type(error).__name__}: {error}). Export it again."
        ) from error


def _delimiter(titles: str) -> str:
    """Of a table whose first line is ``titles``: that which shows a column of images, and the most columns.

    Names of landmarks may have commas of their own.
    """

    def shown(delimiter: str) -> tuple[bool, int]:
        cells = [cell.strip().lower() for cell in next(csv.reader([titles], delimiter=delimiter), [])]
        return any(name in cells for name in _IMAGE), len(cells)

    return max(",;\t", key=shown)


def _wide(columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Landmark -> its two columns, from ``NAME_x`` and ``NAME_y`` (or ``NAME x``), or by number: ``p1x``."""
    found: dict[str, dict[str, str]] = {"x": {}, "y": {}}
    for column in columns:
        if parts := re.fullmatch(r"\s*(?:(.+)[_ ]|p(\d+))([xy])\s*", column, re.IGNORECASE):
            found[parts[3].lower()][parts[1] or parts[2]] = column
    return {name: (x, found["y"][name]) for name, x in found["x"].items() if name in found["y"]}


def _number(cell: str, delimiter: str) -> str:
    return cell if delimiter == "," else cell.replace(",", ".")

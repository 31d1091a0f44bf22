"""What an annotation tool says of one image, before its names are matched with those of a landmark set."""

import json
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from util.files import printable


@dataclass
class Annotated:
    """The named points of one image, in the tool's own pixels."""

    image: str  # the name or path that the tool has for it
    where: str  # names the entry in messages
    points: dict[str, tuple[float, float]] = field(default_factory=dict)
    size: tuple[int, int] | None = None  # (width, height) as the tool saw it
    other_shapes: dict[str, str] = field(default_factory=dict)  # label -> "circle": what is no point

    @property
    def image_name(self) -> str:
        """The last part of ``image``, whichever system wrote its path."""
        return PureWindowsPath(self.image).name

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders in ``image``, outermost first, without drive or root and without ``..``."""
        path = PureWindowsPath(self.image)
        return tuple(part for part in path.parts[:-1] if part not in (path.anchor, ".."))

    @property
    def is_absolute(self) -> bool:
        """Whether ``image`` begins at a drive or a root, where the tool ran."""
        return bool(PureWindowsPath(self.image).anchor)

    def note_shape(self, name: Any, kind: str) -> None:
        """Note that something else than a point has this label."""
        self.other_shapes[str(name).strip()] = kind

    def add(self, name: str, x: Any, y: Any) -> None:
        """Note a point. Raises ValueError for a name that comes twice and for what is no number."""
        name = str(name).strip()
        if name in self.points:
            raise ValueError(f"{self.where}: {name!r} is marked twice, expected once. Remove one of the two.")
        try:
            point = float(x), float(y)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{self.where}: {name!r} at {x!r}, {y!r}, expected two numbers. Correct it, or leave it out "
                "where it is missing."
            ) from error
        if not np.isfinite(point).all():
            raise ValueError(
                f"{self.where}: {name!r} at {x!r}, {y!r}, expected finite numbers. Correct it, or leave it "
                "out where it is missing."
            )
        self.points[name] = point


def size_of(data: Any, width: str, height: str) -> tuple[int, int] | None:
    """(width, height) under these keys of a JSON object or an XML element; None where it does not say."""
    values = data.get(width), data.get(height)
    return None if None in values else (int(values[0]), int(values[1]))


def read_json_object(file: Path) -> dict[str, Any]:
    """A file's JSON object, with or without a byte order mark. Raises ValueError naming the file."""
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{printable(file)}: cannot be read ({error.strerror}). Check the path.") from error
    except ValueError as error:
        raise ValueError(f"{printable(file)}: not valid JSON ({error}). Export it again.") from error
    if not isinstance(data, dict):
        raise ValueError(f"{printable(file)}: a {type(data).__name__}, expected a JSON object.")
    return data


def files_of(path: Path, suffix: str) -> list[Path]:
    """``path`` itself, or the files of this suffix in and below it, sorted. Raises ValueError for none."""
    if path.is_file():
        return [path]
    files = sorted(file for file in path.rglob(f"*{suffix}") if file.is_file() and file.name[0] != ".")
    if not files:
        raise ValueError(f"{printable(path)}: no {suffix} file here. Give the tool's export, or its folder.")
    return files

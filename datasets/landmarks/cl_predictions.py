"""Predictions in the form of the CL-Detection 2023 challenge: one JSON file for all slices of a stack.

``name`` "Orthodontic landmarks", ``type`` "Multiple points", ``version``, and ``points``: a ``name`` "1" to
"38" and a ``point`` [x, y, slice] each, slices from 1, x and y in index coordinates of the padded slice.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datasets.landmarks.cl_detection2023 import LANDMARKS, shortened
from datasets.prepared.case import INDEX_TO_CONTINUOUS
from util.files import write_atomic

_NAME, _TYPE = "Orthodontic landmarks", "Multiple points"
_VERSION = {"major": 1, "minor": 0}
_NAMES = tuple(str(number) for number in range(1, len(LANDMARKS) + 1))
_DECIMALS = 4  # of a pixel
_FAR = 1e9  # pixels and slices beyond are no numbers of an image


def write_predictions(file: Path, points: Mapping[int, np.ndarray]) -> None:
    """Write ``file``, whole or not at all. ``points``: slice (from 1) -> (38, 2) continuous pixels.

    Raises ValueError when the slices are not 1 to N or a point is not finite.
    """
    content = {"name": _NAME, "type": _TYPE, "points": list(_entries(points)), "version": _VERSION}
    _require_sound(content, file)
    write_atomic(file, json.dumps(content, indent=1) + "\n")


def read_predictions(file: Path) -> dict[int, np.ndarray]:
    """Slice (from 1) -> (38, 2) continuous pixels. Raises ValueError naming the problems of ``file``."""
    content = read_content(file)
    _require_sound(content, file)
    found: dict[int, np.ndarray] = {}
    for entry in content["points"]:
        x, y, number = entry["point"]
        points = found.setdefault(int(number), np.empty((len(LANDMARKS), 2)))
        points[int(entry["name"]) - 1] = x + INDEX_TO_CONTINUOUS, y + INDEX_TO_CONTINUOUS
    return dict(sorted(found.items()))


def read_content(file: Path) -> Any:
    """The JSON of ``file`` as it is. Raises ValueError when it cannot be read or is no JSON."""
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror}). Check the path.") from error
    except ValueError as error:  # no JSON, or no text
        raise ValueError(f"{file}: not valid JSON ({error}). Write it again.") from error


def check_predictions(
    content: Any, *, num_slices: int | None = None, size: tuple[int, int] | None = None
) -> list[str]:
    """Everything that is wrong with the JSON of a predictions file, a sentence each; empty if it is sound.

    ``num_slices`` and ``size`` (width, height) are those of the stack; without them the slices must be
    1 to N for some N, and points may lie anywhere.
    """
    if not isinstance(content, dict):
        return [f"the file holds a {type(content).__name__}, expected a JSON object."]
    problems = _header_problems(content)
    entries = content.get("points")
    if not isinstance(entries, list):
        return [*problems, f"'points' is {_shown(entries)}, expected a list."]
    counts: Counter[tuple[int, str]] = Counter()  # (slice, name) -> how often
    for place, entry in enumerate(entries):
        wrong = _entry_problem(entry)
        if wrong:
            problems.append(f"points[{place}]: {wrong}")
            continue
        x, y, number = entry["point"]
        counts[int(number), entry["name"]] += 1
        if size and not _inside(x, y, size):
            problems.append(
                f"points[{place}]: slice {int(number)}, landmark {entry['name']} at x={x:g}, y={y:g} "
                f"is not inside the {size[0]}x{size[1]} image."
            )
    return problems + list(_completeness_problems(counts, num_slices))


def _entries(points: Mapping[int, np.ndarray]) -> Iterator[dict[str, Any]]:
    for number in sorted(points):
        pixels = np.round(points[number] - INDEX_TO_CONTINUOUS, _DECIMALS).tolist()
        for name, (x, y) in zip(_NAMES, pixels, strict=True):
            yield {"name": name, "point": [x, y, number]}


def _require_sound(content: Any, file: Path) -> None:
    problems = check_predictions(content)
    if problems:
        more = f" (and {len(problems) - 3} more problems)" if len(problems) > 3 else ""
        raise ValueError(f"{file}: {' '.join(problems[:3])}{more}")


def _header_problems(content: Mapping[str, Any]) -> list[str]:
    problems = []
    for key, expected in (("name", _NAME), ("type", _TYPE)):
        if content.get(key) != expected:
            problems.append(f"{key!r} is {_shown(content.get(key))}, expected {expected!r}.")
    version = content.get("version")
    if not isinstance(version, dict) or not all(type(version.get(key)) is int for key in _VERSION):
        problems.append(f"'version' is {_shown(version)}, expected {_VERSION}.")
    return problems


def _entry_problem(entry: Any) -> str | None:
    """What is wrong with one item of ``points`` by itself."""
    if not isinstance(entry, dict) or not {"name", "point"} <= entry.keys():
        return f"{_shown(entry)}, expected an object with 'name' and 'point'."
    if entry["name"] not in _NAMES:
        return f"name {_shown(entry['name'])}, expected text from '1' to '{len(LANDMARKS)}'."
    point = entry["point"]
    if not isinstance(point, list) or len(point) != 3 or not all(type(n) in (int, float) for n in point):
        return f"point {_shown(point)}, expected the numbers [x, y, slice]."
    if not all(abs(number) < _FAR for number in point):  # NaN compares false
        return f"point {_shown(point)}, expected finite numbers."
    if point[2] < 1 or point[2] != int(point[2]):
        return f"point {_shown(point)}, expected a whole slice number from 1 on."
    return None


def _inside(x: float, y: float, size: tuple[int, int]) -> bool:
    """Whether an index coordinate lies on a pixel of an image of ``size``."""
    pairs = zip((x, y), size, strict=True)
    return all(0 <= value + INDEX_TO_CONTINUOUS <= extent for value, extent in pairs)


def _completeness_problems(counts: Counter[tuple[int, str]], num_slices: int | None) -> Iterator[str]:
    """Slices and landmarks that are absent, come more than once, or are none of the stack's."""
    slices = {number for number, _ in counts}
    last = max(slices, default=1) if num_slices is None else num_slices
    absent = (number for number in range(1, last + 1) if number not in slices)
    if listed := shortened(absent):
        yield f"no point in slices {listed}, expected slices 1 to {last}."
    if listed := shortened(sorted(number for number in slices if number > last)):
        yield f"points in slices {listed}, the stack has {last}."
    for number in sorted(slices):
        missing = [name for name in _NAMES if not counts[number, name]]
        twice = [name for name in _NAMES if counts[number, name] > 1]
        if missing:
            yield f"slice {number}: landmarks {', '.join(missing)} missing."
        if twice:
            yield f"slice {number}: landmarks {', '.join(twice)} more than once."


def _shown(value: Any) -> str:
    """``value`` as it reads in an error, cut to a line's length."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

"""What every prepared folder has, whatever is annotated: ``dataset.json``, splits, folds, whole images."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np

from datasets.prepared.case import check_spacing
from datasets.prepared.folder import FORMAT
from datasets.prepared.splits import Fold
from util.files import sha256

_PNG_START = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2  # PNG colour types
_COLOURS = {_GREY: "grey", _RGB: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
_PNG_END = b"IEND\xaeB`\x82"  # last chunk of every whole PNG file
KINDS = {"landmark_set": "landmarks", "box_classes": "boxes", "mask_classes": "masks"}  # by key of the header


class OnFile(Protocol):
    """One image of a split as its annotation file describes it."""

    @property
    def file(self) -> Path: ...


AnyRecord = TypeVar("AnyRecord", bound=OnFile)


def read_header(folder: Path, kind: str = "landmark_set") -> dict[str, Any]:
    """``dataset.json`` as a dict that has at least ``kind``, labels and split.

    kind: the key of ``KINDS`` that says what is annotated. Raises ValueError for a folder of another kind.
    """
    file = folder / "dataset.json"
    if not file.is_file():
        raise ValueError(
            f"{folder}: no dataset.json, so not a prepared folder. Make one with tools/prepare_*.py."
        )
    header = read_json(file)
    if header.get("format") != FORMAT:
        raise ValueError(
            f"{file}: format {header.get('format')!r}, expected {FORMAT!r}. Prepare the data anew."
        )
    others = [name for key, name in KINDS.items() if key in header and key != kind]
    if others and kind not in header:
        raise ValueError(
            f"{file}: {others[0]} are annotated, expected {KINDS[kind]}. Give a folder prepared for them."
        )
    absent = {kind, "labels", "split"} - header.keys()
    if absent or not isinstance(header["split"], dict):
        raise ValueError(f"{file}: {sorted(absent) or 'split'} not as written. Prepare the data anew.")
    return header


def kind_of(folder: Path) -> str:
    """What a folder annotates: a value of ``KINDS``. COCO in its usual folders is of boxes.

    Raises ValueError for a folder that is neither prepared nor COCO's.
    """
    if not (folder / "dataset.json").is_file() and (folder / "annotations").is_dir():
        return "boxes"
    if not (folder / "dataset.json").is_file():
        raise ValueError(
            f"{folder}: no dataset.json, so not a prepared folder, and no annotations/instances_*.json. "
            "Make one with tools/prepare_*.py."
        )
    header = read_json(folder / "dataset.json")
    return next((kind for key, kind in KINDS.items() if key in header), "landmarks")


def read_subset(
    folder: Path,
    subset: str,
    header: dict[str, Any],
    read_records: Callable[[Path, dict[str, Any]], tuple[AnyRecord, ...]],
) -> tuple[AnyRecord, ...]:
    """The records of a split, of a fold of train and val together (``val@1/5``), or a few (``train:25``).

    read_records: gives the records of an annotation file from its path and its content.
    """
    whole, colon, count = subset.rpartition(":")
    if colon:
        few = read_subset(folder, whole, header, read_records)
        return _few(few, count, header.get("seed") or 0, subset)
    part, at, text = subset.partition("@")
    if not at:
        return _read_split(folder, subset, header["split"], read_records)
    if part not in Fold.PARTS:
        raise ValueError(f"{folder}: subset {subset!r}: only {' and '.join(Fold.PARTS)} have folds.")
    pool = [
        record for name in Fold.PARTS for record in _read_split(folder, name, header["split"], read_records)
    ]
    by_case = {record.file.stem: record for record in pool}
    return tuple(by_case[case] for case in _of_fold(Fold.parse(text), list(by_case), header)[part])


def image_of(image: dict[str, Any], file: Path) -> tuple[Path, tuple[int, int], np.ndarray, str]:
    """Path, (width, height) and spacing of an entry of the annotation file ``file``, and how to name it."""
    path = file.parent.parent / "images" / image["file_name"]
    where = f"{file}: case {path.stem!r}"
    if not path.is_file():
        raise ValueError(f"{where}: {path} is missing. Prepare the data anew.")
    stated = image.get("spacing")
    spacing = np.full(2, np.nan) if stated is None else np.asarray(stated, np.float64)
    if stated is not None and np.isnan(spacing).any():
        raise ValueError(f"{where}: spacing {stated}, expected two positive numbers, or null where unknown.")
    check_spacing(spacing, where)
    return path, (int(image["width"]), int(image["height"])), spacing, where


def content_digest(folder: str | Path | Mapping[str, str]) -> str:
    """Hexadecimal SHA-256 of what a folder says: ``dataset.json`` and all annotations, wherever it lies.

    Of several folders, by whatever name, that of all of them in order.
    """
    digest = hashlib.sha256()
    for one in map(Path, folder.values() if isinstance(folder, Mapping) else (folder,)):
        files = (one / "dataset.json", *sorted((one / "annotations").glob("*.json")))
        for file in (file for file in files if file.is_file()):  # COCO as it lies has no dataset.json
            digest.update(f"{file.name} {sha256(file)}\n".encode())
    return digest.hexdigest()


def repeated_cases(header: dict[str, Any], cases: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``cases`` whose X-ray is in train or val too, under another name."""
    others = {str(case) for part in Fold.PARTS for case in header["split"].get(part, ())} - set(cases)
    pairs = [*header.get("repeats", ()), *(pair[::-1] for pair in header.get("repeats", ()))]
    found = {case for case, other in pairs if other in others}
    return tuple(case for case in cases if case in found)


def read_png(file: Path, size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8 grey.

    Raises ValueError for a file that is not whole, not 8-bit grey, or not of ``size``, width first.
    """
    return _read_pixels(file, size, _GREY)


def read_colour_png(file: Path, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 RGB.

    Raises ValueError for a file that is not whole, not 8-bit RGB, or not of ``size``, width first.
    """
    return np.ascontiguousarray(_read_pixels(file, size, _RGB)[..., ::-1])


def read_json(file: Path) -> dict[str, Any]:
    """A file's JSON object. Raises ValueError naming the file otherwise."""
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))  # some editors put a byte order mark
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror}). Check the path.") from error
    except ValueError as error:
        raise ValueError(f"{file}: not valid JSON ({error}). Get or prepare it anew.") from error
    if not isinstance(data, dict):
        raise ValueError(f"{file}: a {type(data).__name__}, expected a JSON object.")
    return data


def _of_fold(fold: Fold, cases: list[str], header: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Train and val of a fold: as written down, else dealt by person where the header names persons."""
    written = header.get("folds", {}).get(str(fold.count))
    seed = header.get("seed") or 0
    persons = {case: str(header.get("persons", {}).get(case, case)) for case in cases}
    chosen = set(written[fold.number - 1]) if written else None
    if chosen is None:
        chosen_persons = set(fold.split(dict.fromkeys(persons.values()), seed)["val"])
        chosen = {case for case, person in persons.items() if person in chosen_persons}
    val = tuple(sorted(case for case in cases if case in chosen))
    return {"train": tuple(sorted(case for case in cases if case not in chosen)), "val": val}


def _few(records: tuple[AnyRecord, ...], count: str, seed: int, subset: str) -> tuple[AnyRecord, ...]:
    """``count`` records drawn by the data's seed, in order; a smaller draw is part of every larger one."""
    if not count.isdecimal() or not 1 <= int(count) <= len(records):
        raise ValueError(
            f"subset {subset!r}: expected a number of images from 1 to {len(records)} after ':'."
        )
    drawn = np.random.default_rng(seed).permutation(len(records))[: int(count)]
    return tuple(records[index] for index in sorted(drawn))


def _read_split(
    folder: Path,
    subset: str,
    split: dict[str, list],
    read_records: Callable[[Path, dict[str, Any]], tuple[AnyRecord, ...]],
) -> tuple[AnyRecord, ...]:
    if subset not in split:
        raise ValueError(f"{folder}: no subset {subset!r}; those there: {sorted(split)}.")
    file = folder / "annotations" / f"{subset}.json"
    data = read_json(file)
    try:
        records = read_records(file, data)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{file}: {error!r} missing or of a wrong kind. Compare with docs/data.md."
        ) from error
    if not records:
        raise ValueError(f"{file}: no image, expected at least one. Choose another subset than {subset!r}.")
    names = [record.file.stem for record in records]
    if sorted(names) != sorted(map(str, split[subset])):
        differing = sorted(set(names) ^ set(split[subset])) or "a case listed twice"
        raise ValueError(
            f"{file}: not the cases that dataset.json lists ({differing}). Prepare the data anew."
        )
    return records


def _read_pixels(file: Path, size: tuple[int, int], colours: int) -> np.ndarray:
    """OpenCV fills up a truncated file and clips a deeper one without a word, so the bytes are looked at.

    colours: the PNG's colour type, ``_GREY`` or ``_RGB``.
    """
    data = file.read_bytes()
    flag = cv2.IMREAD_GRAYSCALE if colours == _GREY else cv2.IMREAD_COLOR
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    if image is None or not (data.startswith(_PNG_START) and data.endswith(_PNG_END)):
        raise ValueError(f"{file}: not a whole PNG image ({len(data)} bytes). Prepare the data anew.")
    depth, kind = data[24], data[25]  # of the first chunk, IHDR
    if (depth, kind) != (8, colours):
        raise ValueError(
            f"{file}: {_COLOURS.get(kind, 'unknown')} of {depth} bits, expected {_COLOURS[colours]} of 8 "
            "bits as tools/prepare_*.py write. Prepare the data anew."
        )
    if image.shape[1::-1] != size:
        raise ValueError(
            f"{file}: {image.shape[1]}x{image.shape[0]} pixels, annotated as {size[0]}x{size[1]}."
        )
    return image

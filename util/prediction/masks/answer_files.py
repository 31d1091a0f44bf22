"""Files beside FILE.json and FILE.csv, each fed a record of ``MaskAnswers`` an image."""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco

from util.files import open_atomic, write_atomic
from util.prediction.masks.dicom_seg import write_dicom_seg
from util.prediction.masks.run_lengths import encode_rows
from util.prediction.masks.submission import COLUMNS
from util.prediction.stems import Stems, plain_stem

ATTRIBUTE_COLUMNS = ("file", "slice", "attribute", "value", "probability")
Add = Callable[[Mapping[str, Any]], None]  # takes the record of one image


def decoded(found: Mapping[str, Any]) -> np.ndarray:
    """(H, W) bool of one entry of a record's ``masks``."""
    return coco.decode(_code(found)).astype(bool)


@contextmanager
def attribute_file(file: Path, attributes: Collection[str]) -> Iterator[Add]:
    """``file,slice,attribute,value,probability``: a row an image and attribute.

    Value and probability are empty cells where a record has none: an archive may have been begun before they
    were written down.
    """
    unknown = {"value": None, "probability": None}
    with open_atomic(file) as stream:

        def add(image: Mapping[str, Any]) -> None:
            origin = image["file"], image["slice"]
            told = {name: image.get("attributes", {}).get(name, unknown) for name in attributes}.items()
            stream.write(_rows((*origin, name, one["value"], one["probability"]) for name, one in told))

        stream.write(_rows([ATTRIBUTE_COLUMNS]))
        yield add


@contextmanager
def rle_file(file: Path) -> Iterator[Add]:
    """``image_name,class,rle``: names without a folder, a row for every class, empty cells too.

    Raises ValueError where images of two folders share a name.
    """
    name_of = _Names(file)
    with open_atomic(file) as stream:

        def add(image: Mapping[str, Any]) -> None:
            name = name_of(image)
            found = image["masks"]
            stream.write(_rows((name, one["class"], encode_rows(decoded(one))) for one in found))

        stream.write(_rows([COLUMNS]))
        yield add


@contextmanager
def coco_file(file: Path, classes: Sequence[str]) -> Iterator[Add]:
    """COCO instances: an annotation of every structure that has pixels, run lengths column by column.

    Categories count from 1 in the order of ``classes``. ``tools/prepare_masks.py --coco`` reads it. Raises
    ValueError where images of two folders share a name.
    """
    name_of = _Names(file)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]

    def add(image: Mapping[str, Any]) -> None:
        shape = {name: image[name] for name in ("width", "height")}
        number = len(images) + 1
        images.append({"id": number, "file_name": name_of(image), **shape, "spacing": image["spacing_mm"]})
        for category, found in enumerate(image["masks"], start=1):
            if found["area_px"]:
                own = {"id": len(annotations) + 1, "image_id": number, "category_id": category}
                box = coco.toBbox(_code(found)).tolist()
                annotations.append(
                    {**own, "iscrowd": 0, "segmentation": found["rle"], "area": found["area_px"], "bbox": box}
                )

    yield add
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_atomic(file, json.dumps(content, allow_nan=False).encode() + b"\n")


@contextmanager
def png_folder(folder: Path, classes: Sequence[str]) -> Iterator[Add]:
    """CLASS/STEM.png of 0 and 255 for every class: the layout that tools/prepare_masks.py --masks reads.

    Those of an earlier run are removed, lest they are taken for masks of this one. Raises ValueError for a
    class that cannot be the name of a folder.
    """
    stem_of = Stems()
    for name in classes:
        if name in (".", "..") or "/" in name or "\\" in name:
            raise ValueError(
                f"{folder}: class {name!r} cannot be the name of a folder. Leave --png out and take --coco."
            )
    _remove(folder, "*/*.png")

    def write(image: Mapping[str, Any]) -> None:
        stem = stem_of(image["file"], image["slice"])
        for found in image["masks"]:
            png = cv2.imencode(".png", decoded(found).astype(np.uint8) * 255)[1].tobytes()
            write_atomic(folder / found["class"] / f"{stem}.png", png)

    yield write


@contextmanager
def dicom_folder(folder: Path) -> Iterator[Add]:
    """STEM.dcm, a Segmentation an image that refers to it; none where nothing was found.

    Those of an earlier run are removed: an image in which nothing is found would keep its old one.
    """
    stem_of = Stems()
    _remove(folder, "*.dcm")

    def write(image: Mapping[str, Any]) -> None:
        stem = stem_of(image["file"], image["slice"])
        there = {found["class"]: decoded(found) for found in image["masks"] if found["area_px"]}
        if there:
            write_dicom_seg(folder / f"{stem}.dcm", Path(image["file"]), there)

    yield write


def _remove(folder: Path, pattern: str) -> None:
    """Files of an earlier run, and the folders of classes that they leave empty."""
    for file in list(folder.glob(pattern)):
        file.unlink()
        if file.parent != folder and not any(file.parent.iterdir()):
            file.parent.rmdir()


class _Names:
    """Names without a folder, by which others know the images: each must come once."""

    def __init__(self, file: Path) -> None:
        self._file, self._taken = file, dict[str, str]()

    def __call__(self, image: Mapping[str, Any]) -> str:
        name = _name(image)
        if name in self._taken:
            raise ValueError(
                f"{self._file}: {self._taken[name]} and {image['file']} share the name {name}, by which it "
                "tells images apart. Rename one, or leave this form of file out."
            )
        self._taken[name] = image["file"]
        return name


def _rows(rows: Iterable[Sequence[Any]]) -> bytes:
    """Lines of CSV; an empty cell stands for None."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _name(image: Mapping[str, Any]) -> str:
    file, number = Path(image["file"]), image["slice"]
    return file.name if number is None else f"{plain_stem(file, number)}.png"


def _code(found: Mapping[str, Any]) -> Any:
    return {"size": found["rle"]["size"], "counts": found["rle"]["counts"].encode()}

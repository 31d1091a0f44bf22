"""Boxes in one text file an image: YOLO's rows of shares and Pascal VOC's XML.

YOLO: https://docs.ultralytics.com/datasets/detect/; Pascal VOC: Everingham et al., 2010.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import yaml

from datasets.boxes.class_set import BoxClasses
from datasets.boxes.faults import Faults
from datasets.boxes.named_images import NamedImages, Owners, image_stem
from datasets.boxes.objects import BoxRecord, StatedBox, checked
from datasets.files.colour import picture_size
from datasets.files.kinds import PICTURE_SUFFIXES
from datasets.sides import pairs_by_name

_FLAGGED = re.compile(r"(.*\S)\s+(?:-1|0|1|\S+\.xml)")
_FIRST_PIXEL = 1.0  # Pascal VOC counts pixels from 1 and means the last one included


def read_class_names(file: Path) -> BoxClasses:
    """YOLO's classes, one name a line or ``names`` of its data.yaml; their ids count from 0.

    Raises ValueError for a file without names, and for an empty name before others: those behind it would
    have other numbers without it.
    """
    lines = _lines(file) if file.is_file() else []
    is_yaml = file.suffix.lower() in (".yaml", ".yml")
    names = _yaml_names(file, "\n".join(lines)) if is_yaml else "\n".join(lines).rstrip().split("\n")
    names = tuple(name.strip() for name in names)
    if not any(names):
        raise ValueError(f"{file}: no class name, expected one a line, or `names` in a data.yaml.")
    try:
        return BoxClasses(names, tuple(range(len(names))), pairs_by_name(names))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def voc_class_names(parts: Sequence[Path]) -> BoxClasses:
    """The names that occur in Pascal VOC files, sorted; their ids count from 1."""
    names = {
        (item.findtext("name") or "").strip()
        for part in parts
        for label in _label_files(part, ".xml").values()
        for item in _xml(label).iter("object")
    }
    if not names - {""}:
        raise ValueError(f"{', '.join(map(str, parts))}: no object with a name, expected at least one class.")
    ordered = tuple(sorted(names - {""}))
    return BoxClasses(ordered, tuple(range(1, len(ordered) + 1)), pairs_by_name(ordered))


def read_yolo(part: Path, classes: BoxClasses, folders: Sequence[Path], faults: Faults) -> list[BoxRecord]:
    """The images of a folder of label files, or of a list of images; without a label file: no objects."""
    records, images, owners = [], NamedImages(folders, faults), Owners(faults)
    for number, (image, label) in enumerate(_label_files(part, ".txt").items(), start=1):
        file = images.listed(image)
        if file is None or not owners.takes(str(image), file):
            continue
        size = picture_size(file)
        if label.is_file():
            objects = _yolo_objects(label, size, len(classes), faults)
        else:
            objects = ()
            faults.repair("listed images without a label file taken to show no object", file.name)
        spacing = np.full(2, np.nan)
        records.append(
            BoxRecord(file, size, **checked(objects, size, faults), spacing=spacing, image_id=number)
        )
    return records


def read_voc(part: Path, classes: BoxClasses, folders: Sequence[Path], faults: Faults) -> list[BoxRecord]:
    """The images of a folder of XML files, or of a list of names (``ImageSets/Main/train.txt``)."""
    records, images, owners = [], NamedImages(folders, faults), Owners(faults)
    for number, (image, label) in enumerate(_label_files(part, ".xml").items(), start=1):
        root = _xml(label)
        stated = root.findtext("filename")
        file = images.named(stated) if stated else images.listed(image)
        if file is None or not owners.takes(str(label), file):
            continue
        size = _voc_size(root, label) or picture_size(file)
        spacing = np.full(2, np.nan)
        objects = checked(_voc_objects(root, label, classes, faults), size, faults)
        records.append(BoxRecord(file, size, **objects, spacing=spacing, image_id=number))
    return records


def _yolo_objects(label: Path, size: tuple[int, int], count: int, faults: Faults) -> Iterator[StatedBox]:
    for number, line in enumerate(_lines(label), start=1):
        words, name = line.split(), f"{label.name} line {number}"
        if not words:
            continue
        if len(words) != 5:
            kind = ": outlines, not boxes" if len(words) > 6 and len(words) % 2 else ""
            faults.error(
                f"{name}: {len(words)} numbers{kind}, expected class, centre x and y, width, height."
            )
            continue
        try:
            index, (x, y, width, height) = int(words[0]), map(float, words[1:])
        except ValueError:
            faults.error(f"{name}: {line!r}, expected an integer and four numbers.")
            continue
        if not 0 <= index < count:
            faults.error(f"{name}: class {index} is unknown, expected 0 to {count - 1} (see --classes).")
            continue
        shares = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
        left, top, right, bottom = (shares * (*size, *size)).tolist()
        yield StatedBox((left, top, right, bottom), index, False, None, name)


def _voc_objects(
    root: ElementTree.Element, label: Path, classes: BoxClasses, faults: Faults
) -> Iterator[StatedBox]:
    for number, item in enumerate(root.iter("object"), start=1):
        name, class_name = f"{label.name} object {number}", (item.findtext("name") or "").strip()
        if class_name not in classes.names:
            faults.error(f"{name}: class {class_name!r} is unknown, expected one of {list(classes.names)}.")
            continue
        try:
            sides = [float(item.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")]
        except ValueError:
            faults.error(f"{name}: no whole bndbox, expected numbers xmin, ymin, xmax and ymax.")
            continue
        box = (sides[0] - _FIRST_PIXEL, sides[1] - _FIRST_PIXEL, sides[2], sides[3])
        difficult = (item.findtext("difficult") or "0").strip() == "1"
        yield StatedBox(box, classes.names.index(class_name), difficult, None, name)


def _label_files(part: Path, suffix: str) -> dict[Path, Path]:
    """Label files by their image: all of a folder, sorted, or those of a list of images in its order.

    An image is a path as the list has it, from the list's folder; in a folder that of its label file without
    the suffix. Raises ValueError where there is none, or where two images share a label file.
    """
    if part.is_dir():
        files = [file for file in sorted(part.glob(f"*{suffix}")) if file.stem != "classes"]
        if not files:
            raise ValueError(f"{part}: no {suffix} file, expected one an image.")
        return {file.with_suffix(""): file for file in files}
    if not part.is_file():
        raise ValueError(f"{part}: no such folder of {suffix} files or list of images. Check the path.")
    names = [line.strip() for line in _lines(part) if line.strip()]
    if not names:
        raise ValueError(f"{part}: an empty list, expected the name of an image a line.")
    if suffix == ".xml":  # Pascal VOC's lists of a class have flags after the name
        names = [_without_flag(part, name) for name in names]
    images = {part.parent / name: name for name in names}
    labels = {image: _beside(part, image, suffix) for image in images}
    owners: dict[Path, Path] = {}
    for image, label in labels.items():
        owner = owners.setdefault(label, image)
        if owner != image and label.is_file():
            raise ValueError(
                f"{part}: {images[owner]} and {images[image]} share the label file {label}, expected one an "
                "image. Remove one of the two lines, or rename an image and give it labels of its own."
            )
    return labels


def _without_flag(part: Path, line: str) -> str:
    """The name in a line of a Pascal VOC list, blanks included; a flag or a label file may follow."""
    found = _FLAGGED.fullmatch(line)
    return line if not found or _beside(part, part.parent / line, ".xml").is_file() else found[1]


def _beside(part: Path, image: Path, suffix: str) -> Path:
    """Where the labels of a listed image lie: beside it, in ``labels`` for ``images``, in ``Annotations``."""
    swapped = [
        up.with_name("labels") / image.parent.relative_to(up) for up in image.parents if up.name == "images"
    ]
    folders = [image.parent, *swapped[:1], *(up / "Annotations" for up in part.parents)]
    stem = image_stem(image.name)
    picture = image.suffix.lower() in PICTURE_SUFFIXES
    stems = [stem] if picture else [image.name, stem]  # of x.dcm that may be x.dcm.txt, too
    places = [folder / f"{one}{suffix}" for one in stems for folder in folders]
    return next((place for place in places if place.is_file()), image.with_name(f"{stem}{suffix}"))


def _voc_size(root: ElementTree.Element, label: Path) -> tuple[int, int] | None:
    """(width, height) as stated; None where they are not, or 0."""
    stated = [root.findtext(f"size/{side}") or "0" for side in ("width", "height")]
    try:
        width, height = (int(float(side)) for side in stated)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{label}: size {'x'.join(stated)}, expected numbers of pixels.") from error
    return (width, height) if width and height else None


def _yaml_names(file: Path, text: str) -> list[str]:
    """``names`` of YOLO's data.yaml: a list, or a table by number from 0 on without gaps."""
    try:
        content = yaml.load(text, yaml.BaseLoader)  # all is text: a class may be called 011 or no
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: not valid YAML ({error}).") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        numbers = [str(number) for number in range(len(names))]
        if set(names) != set(numbers):
            raise ValueError(f"{file}: `names` has the numbers {list(names)}, expected 0 to {numbers[-1]}.")
        names = [names[number] for number in numbers]
    return [str(name).strip() for name in names] if isinstance(names, list) else []


def _lines(file: Path) -> list[str]:
    """The lines of a text file. Raises ValueError naming it where it is none."""
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()  # some editors put a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: no text in UTF-8 ({error}). Correct or remove it.") from error


def _xml(label: Path) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(label.read_bytes())
    except (OSError, ElementTree.ParseError) as error:
        raise ValueError(f"{label}: not a Pascal VOC file ({error}). Correct or remove it.") from error

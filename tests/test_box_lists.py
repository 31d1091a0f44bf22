"""Lists of images and folders of YOLO labels find the very image, and its own labels."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.boxes.class_set import BoxClasses
from datasets.boxes.faults import Faults
from datasets.boxes.objects import BoxRecord
from datasets.boxes.text_labels import read_voc, read_yolo
from tests.support.xray_files import write_dicom

CLASSES = BoxClasses(("cell",), (0,))


def add_image(root: Path, name: str, objects: int | None = 1, *, width: int = 30, label: str = "") -> None:
    """An image ``images/name`` of a size of its own, and so many rows in ``labels``; None: no label file."""
    file = root / "images" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.arange(20 * width, dtype=np.uint16).reshape(20, width)
    if file.suffix == ".dcm":
        write_dicom(file, pixels)
    else:
        cv2.imwrite(str(file.with_suffix(".png")), pixels.astype(np.uint8))
        os.replace(file.with_suffix(".png"), file)  # content says what a file is
    if objects is not None:
        labels = root / "labels" / (label or Path(name).with_suffix(".txt"))
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("".join(f"0 0.{row} 0.5 0.1 0.1\n" for row in range(1, objects + 1)))


def add_list(root: Path, *lines: str) -> Path:
    file = root / "train.txt"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def read(part: Path, *folders: Path) -> tuple[list[BoxRecord], list[str]]:
    faults = Faults(str(part))
    return read_yolo(part, CLASSES, folders, faults), faults.errors


def told(records: list[BoxRecord]) -> list[tuple[str, int, int]]:
    """Name, width and number of objects."""
    return [(record.file.name, record.size[0], len(record.labels)) for record in records]


@pytest.mark.parametrize("label", ["x.txt", "x.dcm.txt"])
def test_a_listed_dicom_file_keeps_its_labels(tmp_path, label):
    add_image(tmp_path, "x.dcm", 2, label=label)
    records, errors = read(add_list(tmp_path, "images/x.dcm"), tmp_path / "images")
    assert told(records) == [("x.dcm", 30, 2)] and not errors


def test_only_the_last_folder_called_images_is_swapped(tmp_path):
    root = tmp_path / "images/set1"
    add_image(root, "1.png", 2)
    records, errors = read(add_list(root, "images/1.png"), root / "images")
    assert told(records) == [("1.png", 30, 2)] and not errors


def test_the_listed_suffix_is_read_and_another_one_only_in_its_absence(tmp_path):
    add_image(tmp_path, "q.jpg", width=40)
    add_image(tmp_path, "q.png", width=50)
    add_image(tmp_path, "r.png")
    records, errors = read(add_list(tmp_path, "images/q.jpg", "images/r.jpg"), tmp_path / "images")
    assert told(records) == [("q.jpg", 40, 1), ("r.png", 30, 1)] and not errors


def test_a_shared_label_file_is_refused_and_a_line_given_twice_is_one(tmp_path):
    add_image(tmp_path, "q.jpg")
    add_image(tmp_path, "q.png")
    with pytest.raises(ValueError, match=r"train\.txt: images/q\.jpg and images/q\.png share .*q\.txt"):
        read(add_list(tmp_path, "images/q.jpg", "images/q.png"), tmp_path / "images")
    records, errors = read(add_list(tmp_path, "images/q.jpg", "./images/q.jpg"), tmp_path / "images")
    assert len(records) == 1 and not errors


def test_images_of_one_name_in_two_folders(tmp_path):
    add_image(tmp_path, "a/1.png", 1, width=40)
    add_image(tmp_path, "b/1.png", 2, width=50)
    part, images = add_list(tmp_path, "images/a/1.png", "images/b/1.png"), tmp_path / "images"
    for folders in ([images], [images / "a", images / "b"]):
        records, errors = read(part, *folders)
        assert told(records) == [("1.png", 40, 1), ("1.png", 50, 2)] and not errors
    records, errors = read(part, images / "a")
    assert told(records) == [("1.png", 40, 1)]
    (error,) = errors
    assert "a/1.png and" in error and "b/1.png: both would be" in error and "give --images" in error


def test_a_folder_of_other_copies_is_read_in_place_of_the_listed_one(tmp_path):
    add_image(tmp_path, "1.png", 2)
    add_image(tmp_path / "sharp", "1.png", None, width=40)
    for line in ("images/1.png", str(tmp_path / "images/1.png"), "sharp/../images/1.png"):
        records, errors = read(add_list(tmp_path, line), tmp_path / "sharp/images")
        assert told(records) == [("1.png", 40, 2)] and not errors


def test_blanks_belong_to_the_names_of_a_yolo_list(tmp_path):
    add_image(tmp_path, "a b.png", 2)
    add_image(tmp_path, "a.png", 1)
    records, errors = read(add_list(tmp_path, "images/a b.png ", "images/a.png"), tmp_path / "images")
    assert told(records) == [("a b.png", 30, 2), ("a.png", 30, 1)] and not errors


def test_a_listed_image_without_labels_is_told(tmp_path):
    """Its labels may have been lost, or be called ``B.txt``."""
    add_image(tmp_path, "a.png", 1)
    add_image(tmp_path, "b.png", 1, label="B.txt")
    faults = Faults("list")
    records = read_yolo(
        add_list(tmp_path, "images/a.png", "images/b.png"), CLASSES, [tmp_path / "images"], faults
    )
    assert told(records) == [("a.png", 30, 1), ("b.png", 30, 0)] and not faults.errors
    assert faults.repair_sentences() == [
        "list: 1 listed images without a label file taken to show no object: b.png."
    ]


def test_blanks_belong_to_the_names_of_a_pascal_voc_list_too(tmp_path):
    (tmp_path / "Annotations").mkdir()
    for name in ("a b", "a", "scan 1", "c"):
        add_image(tmp_path, f"{name}.png", None)
        (tmp_path / f"Annotations/{name}.xml").write_text("<annotation/>")
    faults = Faults("list")
    listed = add_list(tmp_path, "a b", "a  1", "scan 1", "images/c.png Annotations/c.xml")
    records = read_voc(listed, CLASSES, [tmp_path / "images"], faults)
    assert [record.file.name for record in records] == ["a b.png", "a.png", "scan 1.png", "c.png"]
    assert not faults.errors


def test_flags_in_a_pascal_voc_list_do_not(tmp_path):
    add_image(tmp_path, "1.JPG", None)
    (tmp_path / "Annotations").mkdir()
    for filename in ("", "<filename>1</filename>", "<filename>1.JPG</filename>"):
        (tmp_path / "Annotations/1.xml").write_text(f"<annotation>{filename}</annotation>")
        faults = Faults("list")
        records = read_voc(add_list(tmp_path, "1 -1"), CLASSES, [tmp_path / "images"], faults)
        assert told(records) == [("1.JPG", 30, 0)] and not faults.errors


def test_two_label_files_of_pascal_voc_that_name_one_image_are_refused(tmp_path):
    """As copies of a label file do, whose name was changed and not what is in it."""
    for name in ("1.png", "2.png"):
        add_image(tmp_path, name, None)
    (tmp_path / "Annotations").mkdir()
    for name in ("1.xml", "2.xml"):
        (tmp_path / "Annotations" / name).write_text("<annotation><filename>1.png</filename></annotation>")
    faults = Faults("Annotations")
    records = read_voc(tmp_path / "Annotations", CLASSES, [tmp_path / "images"], faults)
    assert told(records) == [("1.png", 30, 0)]
    (error,) = faults.errors
    assert "1.xml and" in error and "2.xml: both would be" in error


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("IMG_1.JPG",), "IMG_1.JPG"),
        (("IMG_1.dcm",), "IMG_1.dcm"),
        (("IMG_1.dcm", "IMG_1.Png"), "IMG_1.Png"),
        (("IMG_1.jpg", "IMG_1.png"), "IMG_1.png"),
        (("IMG_1",), "IMG_1"),
    ],
)
def test_a_folder_of_labels_finds_images_of_every_suffix(tmp_path, names, found):
    for name in names:
        add_image(tmp_path, name)
    records, errors = read(tmp_path / "labels", tmp_path / "images")
    assert told(records) == [(found, 30, 1)] and not errors


def test_an_image_that_is_nowhere_is_named_as_listed(tmp_path):
    add_image(tmp_path, "1.png")
    records, errors = read(add_list(tmp_path, "images/2.dcm"), tmp_path / "images")
    assert not records and "image 2.dcm is not in" in errors[0]

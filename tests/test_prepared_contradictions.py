"""Prepared folders that contradict themselves are put in order by name, or refused."""

import json
import shutil

import cv2
import numpy as np
import pytest

from datasets.landmarks.isbi2015 import read_annotation
from datasets.landmarks.landmark_set import load_landmark_set
from datasets.prepared.prepared import PreparedDataset
from datasets.prepared.subsets import read_colour_png, read_png


@pytest.fixture
def folder(tiny_prepared, tmp_path):
    return shutil.copytree(tiny_prepared, tmp_path / "data")


def edit(folder, change):
    """``change`` the annotations of the split train."""
    file = folder / "annotations" / "train.json"
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def reorder(data, order):
    data["categories"][0]["keypoints"] = [data["categories"][0]["keypoints"][index] for index in order]
    for annotation in data["annotations"]:
        triples = np.reshape(annotation["keypoints"], (-1, 3))
        annotation["keypoints"] = triples[list(order)].ravel().tolist()


@pytest.mark.parametrize("order", [(4, 3, 2, 1, 0), (1, 2, 3, 4, 0), (3, 0, 4, 1, 2)])
def test_landmarks_in_another_order_are_put_in_order_by_their_names(folder, order):
    before = [sample.points for sample in PreparedDataset(folder, "train")]
    edit(folder, lambda data: reorder(data, order))
    after = [sample.points for sample in PreparedDataset(folder, "train")]
    np.testing.assert_array_equal(after, before)


def test_names_that_are_not_those_of_the_set_are_refused(folder):
    def rename(data):
        data["categories"][0]["keypoints"][2] = "snout"

    edit(folder, rename)
    with pytest.raises(ValueError, match=r"train\.json: .*lack \['nose'\] and hold \['snout'\]"):
        PreparedDataset(folder, "train")


def test_a_file_without_names_is_in_the_order_of_the_set(folder):
    before = [sample.points for sample in PreparedDataset(folder, "train")]
    edit(folder, lambda data: data.pop("categories"))
    np.testing.assert_array_equal([sample.points for sample in PreparedDataset(folder, "train")], before)


def test_two_annotations_of_one_image_are_refused(folder):
    edit(folder, lambda data: data["annotations"].append(dict(data["annotations"][0])))
    with pytest.raises(ValueError, match=r"train\.json: image 1 is annotated twice"):
        PreparedDataset(folder, "train")


def test_byte_order_marks_are_read(folder, tmp_path):
    before = [sample.points for sample in PreparedDataset(folder, "train")]
    for file in (folder / "dataset.json", folder / "annotations" / "train.json"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    np.testing.assert_array_equal([sample.points for sample in PreparedDataset(folder, "train")], before)
    lines = "\n".join(f"{10 * number},{number}" for number in range(1, 20))
    (tmp_path / "001.txt").write_text(lines, encoding="utf-8-sig")
    assert read_annotation(tmp_path / "001.txt")[0].tolist() == [10.5, 1.5]
    names = json.dumps({"name": "own", "landmarks": ["a"], "abbreviations": ["A"]})
    (tmp_path / "own.json").write_text(names, encoding="utf-8-sig")
    assert load_landmark_set(tmp_path / "own.json").landmarks == ("a",)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.full((6, 8), 3000, np.uint16), "grey of 16 bits"),
        (np.full((6, 8, 3), 90, np.uint8), "RGB of 8 bits"),
        (np.full((6, 8, 4), 90, np.uint8), "RGB with alpha of 8 bits"),
    ],
)
def test_an_image_that_is_not_grey_of_8_bits_is_refused_instead_of_clipped(folder, pixels, said):
    file = sorted((folder / "images").iterdir())[0]
    cv2.imwrite(str(file), pixels)
    with pytest.raises(ValueError, match=rf"{file.name}: {said}, expected grey of 8 bits"):
        read_png(file, (8, 6))


def test_a_colour_image_of_16_bits_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), np.full((6, 8, 3), 3000, np.uint16))
    with pytest.raises(ValueError, match=r"x\.png: RGB of 16 bits, expected RGB of 8"):
        read_colour_png(tmp_path / "x.png", (8, 6))

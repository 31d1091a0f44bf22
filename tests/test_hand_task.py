"""The hand task's own layout: persons by folder, their metadata, the side of a hand."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.masks.dataset import MaskDataset
from datasets.masks.hand_task import BONES, read_metadata, sex_of, side_of_hand
from tests.support.run_tool import run_tool


def write_hands(folder: Path, *, persons: int = 10) -> None:
    """The hand task's layout: two images a person, 29 boxes in each; the right hand's thumb on the left."""
    for person in range(1, persons + 1):
        for part in ("DCM", "outputs_json"):
            (folder / part / f"ID{person:03d}").mkdir(parents=True)
        for hand in range(2):
            stem = f"image{1660000000000 + 10 * person + hand}"
            image = np.full((120, 120, 3), 30 * hand + person, np.uint8)
            image[::7] = 200
            cv2.imwrite(str(folder / "DCM" / f"ID{person:03d}" / f"{stem}.png"), image)
            entries = []
            for k, name in enumerate(BONES):
                x, y = 5 + 18 * (k % 6), 5 + 20 * (k // 6)
                points = np.array([[x, y], [x + 9, y], [x + 9, y + 12], [x, y + 12]])
                if hand:
                    points[:, 0] = 119 - points[:, 0]
                entries.append({"type": "poly_seg", "label": name, "points": points.tolist()})
            data = {
                "annotations": entries,
                "metadata": {"width": 3060, "height": 3060},
                "filename": "a_R.jpg",
            }
            (folder / "outputs_json" / f"ID{person:03d}" / f"{stem}.json").write_text(json.dumps(data))


def test_the_hand_tasks_layout_is_read_by_person_with_its_metadata(tmp_path):
    from openpyxl import Workbook

    write_hands(tmp_path)
    book = Workbook()
    book.active.append(["ID", "나이", "성별", "체중(몸무게)", "키(신장)", None])
    spellings = ["여", "_x0008_남", "F", "male ", "Female", "남자", "woman", "M", "?", "남성", "of no image"]
    for person, spelling in enumerate(spellings, start=1):
        book.active.append([person, 30, spelling, 60, 170, None])
    book.save(tmp_path / "meta_data.xlsx")
    done = run_tool(
        "tools/prepare_masks.py",
        *("--images", tmp_path / "DCM", "--polygons", tmp_path / "outputs_json"),
        *("--metadata", tmp_path / "meta_data.xlsx", "--output", tmp_path / "out", "--folds", 4),
    )
    assert done.returncode == 0, done.stderr
    assert "sex not understood: 1 (ID009 ('?'))\n" in done.stdout
    persons: dict[str, str] = {}
    for name in ("train", "val", "test"):
        dataset = MaskDataset(tmp_path / "out", name)
        assert dataset.class_set.classes == BONES and dataset.class_set.pairs == ()
        for index in range(len(dataset)):
            sample = dataset.load(index)
            assert persons.setdefault(sample.person, name) == name, "both hands in one split"
            number = int(sample.person[2:])
            sex, side = sample.attributes
            assert sex == {0: 0, 1: 1}[(number + 1) % 2] if number != 9 else sex == -1
            assert side == (0 if int(sample.case[-1]) % 2 else 1), "the first image is the right hand"
            assert [shape.mask((120, 120)).sum() for shape in sample.shapes] == [130] * 29
    assert len(persons) == 10
    owners = [
        {dataset.load(index).person for index in range(len(dataset))}
        for dataset in (MaskDataset(tmp_path / "out", f"val@{number}/4") for number in range(1, 5))
    ]
    assert len(set.union(*owners)) == sum(map(len, owners)), "no person is in two folds"


@pytest.mark.parametrize(
    ("text", "sex"),
    [
        ("F", "female"),
        ("여", "female"),
        (" Woman", "female"),
        ("m", "male"),
        ("_남", "male"),
        ("male", "male"),
        ("missing", None),
        ("f/m", None),
        ("mujer", None),
        ("-", None),
        ("", None),
    ],
)
def test_the_sex_is_told_from_any_usual_spelling(text, sex):
    assert sex_of(text) == sex


def test_metadata_as_csv_and_what_is_wrong_with_it(tmp_path):
    file = tmp_path / "m.csv"
    file.write_text("ID,sex\nID001,F\nID002,x\n")
    persons = ["ID001", "ID002", "ID003"]
    assert read_metadata(file, persons) == ({"ID001": {"sex": "female"}, "ID002": {}}, ["ID002 ('x')"])
    for text, named in (("ID,age\n1,2\n", "sex"), ("ID,sex\nA,F\nA,M\n", "two rows"), ("ID,sex\n", "1 rows")):
        file.write_text(text)
        with pytest.raises(ValueError, match=named):
            read_metadata(file, persons)
    (tmp_path / "m.xlsx").write_bytes(b"no workbook")
    with pytest.raises(ValueError, match="not a readable .xlsx"):
        read_metadata(tmp_path / "m.xlsx", persons)


def test_a_table_may_number_the_persons(tmp_path):
    file = tmp_path / "m.csv"
    file.write_text("ID,sex\n1,F\n10,M\n100,F\nID001,M\n")
    found, _ = read_metadata(file, ["ID001", "ID010", "ID100", "ID101"])
    assert found == {"ID001": {"sex": "male"}, "ID010": {"sex": "male"}, "ID100": {"sex": "female"}}


def test_the_side_is_told_by_thumb_and_little_finger():
    assert side_of_hand({"finger-1": (10.0, 0.0), "finger-16": (90.0, 0.0)}) == "right"
    assert side_of_hand({"finger-1": (90.0, 0.0), "finger-16": (10.0, 0.0)}) == "left"
    assert side_of_hand({"finger-1": (90.0, 0.0)}) is None

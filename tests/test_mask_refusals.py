"""Annotation that cannot be read as masks: each fault is refused with the file and what was expected."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_tool

from datasets.files.image_files import SourceImage
from datasets.masks.annotation import Notes
from datasets.masks.batch import collate
from datasets.masks.class_set import ClassSet
from datasets.masks.coco_files import read_coco
from datasets.masks.coco_runs import require_filled, run_lengths
from datasets.masks.dataset import MaskDataset
from datasets.masks.hand_task import read_metadata
from datasets.masks.mask_files import find_mask_files, read_masks
from datasets.masks.matching import persons_of
from datasets.masks.meaning import MaskMeaning
from datasets.masks.polygon_files import find_polygon_files, read_polygons
from datasets.prepared.split_files import read_split
from models.masks.losses import MaskCriterion
from tasks.masks import MaskTask
from tests.support.tiny_masks import CHEST, write_chests
from transforms.augment import TrainTransforms
from util.evaluation.masks.mask_comparison import MEASURES, read_evaluation
from util.prediction.masks.clean import Cleaning
from util.prediction.masks.submission import Submission
from util.prediction.masks.windows import window_starts

BLACK = np.zeros((4, 6), np.uint8)


def written(file: Path, text: str | bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def coco() -> dict[str, Any]:
    """One image of 6x4 pixels with a polygon and a mask in run lengths."""
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 6, "height": 4}],
        "categories": [{"id": 1, "name": "lung"}, {"id": 2, "name": "heart"}],
        "annotations": [
            {"id": 7, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]]},
            {
                "id": 8,
                "image_id": 1,
                "category_id": 2,
                "segmentation": {"size": [4, 6], "counts": [4, 8, 12]},
            },
        ],
    }


def test_the_sound_file_is_read(tmp_path):
    classes, found = read_coco(written(tmp_path / "c.json", json.dumps(coco())))
    assert classes == ("lung", "heart")
    assert found["a"].masks["heart"].sum() == 8 and found["a"].masks["heart"][:, 1:3].all()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: c.pop("images"), "expected COCO's images"),
        (lambda c: c["categories"][1].update(name="lung"), "comes twice"),
        (lambda c: c["images"].append({**c["images"][0]}), "comes twice"),
        (lambda c: c["images"].append({**c["images"][0], "id": 2}), "two images named 'a'"),
        (lambda c: c["images"][0].update(width="wide"), "a.png of ('wide', 4) pixels"),
        (lambda c: c["images"][0].update(height=0), "a.png of (6, 0) pixels"),
        (lambda c: c["annotations"][0].update(category_id=9), "annotation 7: image 1 or category 9"),
        (lambda c: c["annotations"][0].update(image_id=9), "annotation 7: image 9 or category 1"),
        (lambda c: c["annotations"][0].update(segmentation=[[0, 0, 4, 0]]), "polygon of 4 numbers"),
        (lambda c: c["annotations"][0].update(segmentation=[[0, 0, 4, 0, 4, 4, 5]]), "polygon of 7 numbers"),
        (lambda c: c["annotations"][0].update(segmentation=[["x"] * 6]), "annotation 7"),
        (lambda c: c["annotations"][0].pop("segmentation"), "A file of boxes"),
        (lambda c: c["annotations"][1]["segmentation"].update(size=[6, 4]), "stated as 6x4"),
        (lambda c: c["annotations"][1]["segmentation"].update(size=[6]), "annotation 8 of a"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts=[4, 8]), "of 12 pixels, expected 24"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts=[30, -6]), "expected 24"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts="48"), "of 12 pixels, expected 24"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts="no runs"), "COCO's compressed"),
        (lambda c: c["annotations"][1]["segmentation"].update(counts=""), "COCO's compressed"),
        (lambda c: c["annotations"][0].update(segmentation=[]), "no outline"),
    ],
)
def test_unsound_coco_is_refused(tmp_path, change, named):
    data = coco()
    change(data)
    with pytest.raises(ValueError, match=r"c\.json") as refused:
        read_coco(written(tmp_path / "c.json", json.dumps(data)))
    assert named in str(refused.value)


def test_compressed_run_lengths_are_those_that_were_written():
    rng = np.random.default_rng(0)
    for size in ((1, 1), (5, 9), (40, 30), (900, 700)):
        mask = cv2.blur(rng.normal(size=size), (3, 3)) > 0.1
        code: Any = coco_tool.encode(np.asfortranarray(mask, np.uint8))
        flat = mask.ravel(order="F").astype(int)
        edges = np.flatnonzero(np.diff(flat, prepend=0))
        expected = np.diff(edges, prepend=0, append=flat.size)
        np.testing.assert_array_equal(run_lengths(code["counts"]), expected)
        require_filled(code["counts"], size, "a mask")
        with pytest.raises(ValueError, match=f"a mask: .*expected {flat.size + 1}"):
            require_filled(code["counts"], (flat.size + 1, 1), "a mask")


def test_a_table_may_have_empty_and_short_lines(tmp_path):
    found, unclear = read_metadata(written(tmp_path / "m.csv", "sex,ID\n\nF,P1\nM\n,P2\n"), ["P1", "P2"])
    assert found == {"P1": {"sex": "female"}, "P2": {}} and unclear == ["P2 ('')"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "c.json"),
        ("[]", "c.json"),
        ('{"annotations": {}}', "no list 'annotations'"),
        ('{"annotations": [{"label": "a"}]}', "annotation 0"),
        ('{"annotations": [{"points": [[1, 2]]}]}', "annotation 0"),
        ('{"annotations": [{"label": "a", "points": [[1, 2], [3]]}]}', "annotation 0"),
        ('{"annotations": [7]}', "annotation 0"),
    ],
)
def test_unsound_polygons_are_refused(tmp_path, text, named):
    file = written(tmp_path / "c.json", text)
    with pytest.raises(ValueError, match=r"c\.json") as refused:
        read_polygons("c", file, chains=False)
    assert named in str(refused.value)


def test_polygons_of_one_name_or_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no JSON file in it"):
        find_polygon_files(tmp_path)
    for person in "AB":
        written(tmp_path / person / "a.json", "{}")
    with pytest.raises(ValueError, match="the same name"):
        find_polygon_files(tmp_path)


def test_folders_that_hold_no_masks_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected one a class"):
        find_mask_files(tmp_path)
    (tmp_path / "lung").mkdir()
    with pytest.raises(ValueError, match=r"lung: no mask \(PNG\) in it"):
        find_mask_files(tmp_path)
    cv2.imwrite(str(tmp_path / "lung" / "a.jpg"), BLACK)
    with pytest.raises(ValueError, match=r"lung: masks as JPEG.*Convert the originals to PNG"):
        find_mask_files(tmp_path)
    cv2.imwrite(str(tmp_path / "lung" / "b.png"), BLACK)
    with pytest.raises(ValueError, match=r"lung: masks as JPEG, .* edges: 1 \(a\.jpg\)"):
        find_mask_files(tmp_path)  # not passed over beside others: a would have no lung
    cv2.imwrite(str(tmp_path / "lung" / "a.png"), BLACK)
    assert {*find_mask_files(tmp_path)["lung"]} == {"a", "b"}


def test_masks_of_two_sizes_in_one_image_are_refused(tmp_path):
    for name, picture in (("lung", BLACK), ("heart", BLACK.T)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), picture)
    with pytest.raises(ValueError, match=r"a: masks of sizes \[\(4, 6\), \(6, 4\)\]"):
        read_masks("a", find_mask_files(tmp_path), Notes())


def test_an_image_outside_of_the_folders_of_persons_is_refused(tmp_path):
    images = {"a": tmp_path / "ID001" / "a.png", "b": tmp_path / "b.png"}
    with pytest.raises(ValueError, match="'b' and 0 more lie in no folder of a person"):
        persons_of(images, {}, tmp_path, "folder")
    assert persons_of(images, {}, tmp_path, "image") == {"a": "a", "b": "b"}


@pytest.mark.parametrize("text", ['{"train": []}', "{}", '{"train": ["a"], "seed": 3}', "[]", "{"])
def test_an_unsound_split_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"split\.json"):
        read_split(written(tmp_path / "split.json", text), ["a", "b"])


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("m.csv", "ID,sex\n", "expected a header and a row a person"),
        ("m.csv", "ID,height\nP1,170\n", "expected one named"),
        ("m.csv", "ID,sex,sex\nP1,F,M\n", "expected one named"),
        ("m.csv", "ID,sex\nP1,F\nP1,M\n", "P1 has two rows"),
        ("m.csv", "ID,sex\nP2,F\n", "rows of P2, ..., expected persons of the images, such as P1. Correct"),
        ("m.csv", b"ID,sex\n\xff\xfe,F\n", "not text in UTF-8"),
        ("m.xlsx", "no table", "m.xlsx"),
    ],
)
def test_an_unsound_table_of_persons_is_refused(tmp_path, name, text, named):
    with pytest.raises(ValueError, match=name) as refused:
        read_metadata(written(tmp_path / name, text), ["P1"])
    assert named in str(refused.value)
    with pytest.raises(ValueError, match=r"absent\.csv: no such file"):
        read_metadata(tmp_path / "absent.csv", ["P1"])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("image,class,rle\n", "expected image_name,class,rle"),
        ("", "expected image_name,class,rle"),
        ("image_name,class,rle\na.png,lung\n", "line 2: 2 cells"),
        ("image_name,class,rle\na.png,lung,1 2,3\n", "line 2: 4 cells"),
        ("image_name,class,rle\na.png,lung,1 2\na.png,lung,\n", "line 3: a second row of a.png, lung"),
        (b"image_name,class,rle\n\xff,lung,1 2\n", "line 2: not a line of text"),
        (b"\xff\xfe\n", "expected image_name,class,rle"),
    ],
)
def test_a_file_of_other_rows_is_refused(tmp_path, text, named):
    with pytest.raises(ValueError, match=r"s\.csv") as refused:
        Submission(written(tmp_path / "s.csv", text))
    assert named in str(refused.value)
    with pytest.raises(ValueError, match=r"absent\.csv: no such file"):
        Submission(tmp_path / "absent.csv")


EVALUATION = {
    "classes": ["lung"],
    "cases": ["a"],
    "persons": ["a"],
    "per_case": {name: [[0.5]] for name in MEASURES},
    "num_images_without_spacing": 0,
}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "not valid JSON"),
        ("[]", "lacks"),
        ('{"dice": {}}', "lacks"),
        (b"\xff", "not valid JSON"),
        (json.dumps({**EVALUATION, "per_case": {}}), "per_case: KeyError('dice')"),
        (json.dumps({**EVALUATION, "cases": ["a", "b"]}), "per_case.dice of (1, 1) numbers, expected (2, 1)"),
    ],
)
def test_what_is_no_evaluation_of_masks_is_refused(tmp_path, text, named):
    with pytest.raises(ValueError, match=r"e\.json") as refused:
        read_evaluation(written(tmp_path / "e.json", text))
    assert named in str(refused.value)
    with pytest.raises(ValueError, match=r"absent\.json: cannot be read"):
        read_evaluation(tmp_path / "absent.json")


def test_areas_and_windows_that_make_no_sense_are_refused():
    for area in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected an area in mm2"):
            Cleaning(area)
    with pytest.raises(ValueError, match="multiples of 32"):
        window_starts(100, 64, 0.5, 32)
    for overlap in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="windows that overlap"):
            window_starts(128, 64, overlap, 32)


def test_an_image_of_unknown_spacing_is_refused_where_areas_are_measured():
    """By itself, so that the other images of a run are looked at."""
    task, parser = MaskTask(), argparse.ArgumentParser()
    parser.set_defaults(checkpoint=[Path("one.pt")])
    task.add_look_arguments(parser)
    task.add_inference_arguments(parser)
    unknown = SourceImage(BLACK, np.full(2, np.nan), Path("a/x.png"), None)
    known = replace(unknown, spacing=np.ones(2))
    assert task.as_read(parser.parse_args([]))(unknown) is unknown
    checked = task.as_read(parser.parse_args(["--least-part", "2"]))
    assert checked(known) is known
    with pytest.raises(ValueError, match=r"a/x\.png: .* spacing of the image is unknown"):
        checked(unknown)


def test_xlsx_without_openpyxl_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ValueError, match=r"needs openpyxl.*pip install openpyxl.*as CSV"):
        read_metadata(written(tmp_path / "m.xlsx", "any"), ["P1"])


def test_a_model_is_refused_for_data_of_other_classes(tmp_path):
    data = MaskDataset(write_chests(tmp_path / "data"), "test")
    other = MaskMeaning(ClassSet("other", ("right_lung", "left_lung", "clavicle", "heart")), "any")
    MaskTask().require_same(MaskTask().meaning(data), data, tmp_path / "best.pt")
    with pytest.raises(ValueError, match=r"best\.pt: trained on the 4 classes.*in the same order"):
        MaskTask().require_same(other, data, tmp_path / "best.pt")


def test_heads_for_attributes_that_no_image_tells_are_refused(tmp_path):
    """They would learn nothing, and tell something of every image all the same."""
    folder = write_chests(tmp_path / "data")
    model: Any = SimpleNamespace(attribute_values=(2,))
    data = MaskDataset(folder, "train")
    assert data.known_values() == {"sex": ["female", "male"]}
    MaskTask().begin(model, data)
    file = folder / "annotations" / "train.json"
    content = json.loads(file.read_text())
    for kept, named in (("female", "known as female in subset 'train'"), ("", "known as nothing")):
        for image in content["images"]:
            told = image["attributes"].get("sex") == kept
            image["attributes"] = {"sex": kept} if told else {}
        file.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=f"sex is {named}.*expected two values or more"):
            MaskTask().begin(model, MaskDataset(folder, "train"))
    MaskTask().begin(SimpleNamespace(attribute_values=()), MaskDataset(folder, "train"))


def test_a_batch_of_two_class_sets_is_refused(tmp_path):
    sample = MaskDataset(write_chests(tmp_path / "data"), "test").load(0)
    renamed = replace(CHEST, classes=("a", "b", "c", "d"))
    with pytest.raises(ValueError, match="2 sets of classes in one batch"):
        collate([sample, replace(sample, class_set=renamed)])


def test_a_criterion_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"criterion\.losses is empty"):
        MaskCriterion({})


def test_flips_are_refused_before_a_training_where_the_pairs_are_not_known(tmp_path: Path) -> None:
    folder = write_chests(tmp_path)
    header = json.loads((folder / "dataset.json").read_text())
    header["mask_classes"]["pairs"] = None
    (folder / "dataset.json").write_text(json.dumps(header))
    assert len(MaskDataset(folder, "train", TrainTransforms((64, 96)))) == 8
    with pytest.raises(ValueError, match="not mirrored"):
        MaskDataset(folder, "train", TrainTransforms((64, 96), flip=0.5))

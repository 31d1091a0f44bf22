"""Records and files of masks: run lengths of both conventions, PNGs, areas."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.files.image_files import SourceImage
from datasets.masks.class_set import ClassSet
from datasets.masks.raster import pack
from util.prediction.masks.answer_files import decoded
from util.prediction.masks.answers import MaskAnswers
from util.prediction.masks.image_masks import ImageMasks

CLASSES = ClassSet("two", ("lung", "heart", "clavicle"))
SIZE = (40, 30)


@pytest.fixture
def masks() -> list[np.ndarray]:
    lung, heart, nothing = np.zeros((3, 30, 40), bool)
    lung[5:20, 5:25] = True
    heart[15:25, 20:35] = True  # overlaps the lung
    return [lung, heart, nothing]


def found(masks: list[np.ndarray], spacing: float = 0.5) -> tuple[SourceImage, ImageMasks]:
    image = SourceImage(np.zeros((30, 40), np.uint8), np.full(2, spacing), Path("folder/x.png"), None)
    return image, ImageMasks(pack(masks, SIZE, 1), len(masks), image.spacing)


def test_a_record_holds_every_mask_and_its_area(masks) -> None:
    record = MaskAnswers(CLASSES, "someone").record(*found(masks))
    assert [entry["class"] for entry in record["masks"]] == list(CLASSES.classes)
    for entry, mask in zip(record["masks"], masks, strict=True):
        np.testing.assert_array_equal(decoded(entry), mask)
        assert entry["area_px"] == mask.sum()
    assert [entry.get("area_mm2") for entry in record["masks"]] == [75.0, 37.5, None]
    unknown = MaskAnswers(CLASSES, "someone").record(*found(masks, np.nan))
    assert unknown["spacing_mm"] is None and unknown["masks"][0]["area_mm2"] is None
    json.dumps(unknown, allow_nan=False)


def test_files_hold_a_row_a_class_and_image(masks, tmp_path) -> None:
    answers = MaskAnswers(CLASSES, "someone", rle=True, coco=True, png=True)
    images = (answers.record(*found(masks)) for _ in range(1))
    written = answers.write(
        tmp_path / "out.json", model=answers.about(), left_out={"txt": 2}, images=images, failed=[]
    )
    assert written == 1
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["model"]["classes"] == list(CLASSES.classes) and content["left_out"] == {"txt": 2}
    with (tmp_path / "out.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["class"], row["area_mm2"]) for row in rows] == [("lung", "75.0"), ("heart", "37.5")]
    assert rows[0]["length_mm"] == "10.0" and rows[0]["overlaps"].startswith("heart:")
    with (tmp_path / "out_rle.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["image_name"], row["class"]) for row in rows] == [("x.png", c) for c in CLASSES.classes]
    assert rows[0]["rle"].startswith("206 20 246 20") and rows[2]["rle"] == ""
    coco = json.loads((tmp_path / "out_coco.json").read_text())
    assert [entry["category_id"] for entry in coco["annotations"]] == [1, 2] and len(coco["categories"]) == 3
    assert coco["images"][0]["file_name"] == "x.png"
    for name, mask in zip(CLASSES.classes, masks, strict=True):
        png = cv2.imread(str(tmp_path / "out_png" / name / "x.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(png, mask * np.uint8(255))


@pytest.mark.parametrize("form", ["rle", "coco"])
def test_files_that_know_images_by_name_are_refused_where_two_share_it(masks, tmp_path, form) -> None:
    answers = MaskAnswers(CLASSES, "someone", **{form: True})
    image, of_image = found(masks)
    both = [replace(image, file=Path(folder) / "x.png") for folder in ("one", "other")]
    records = [answers.record(each, of_image) for each in both]
    with pytest.raises(ValueError, match=r"out_.*: one/x\.png and other/x\.png share the name x\.png"):
        answers.write(tmp_path / "out.json", model={}, left_out={}, images=records, failed=[])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["left/right lung", "..", "a\\b"])
def test_a_class_that_is_no_name_of_a_folder_gets_no_pictures(tmp_path, name) -> None:
    """``FILE_png/../x.png`` would be written outside of the folder."""
    answers = MaskAnswers(ClassSet("odd", (name,)), "someone", png=True)
    with pytest.raises(ValueError, match="cannot be the name of a folder"):
        answers.write(tmp_path / "out.json", model={}, left_out={}, images=[], failed=[])
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_behind_when_the_records_fail(masks, tmp_path) -> None:
    answers = MaskAnswers(CLASSES, "someone", rle=True, coco=True)

    def images():
        yield answers.record(*found(masks))
        raise ValueError("the network is gone")

    with pytest.raises(ValueError, match="the network is gone"):
        answers.write(tmp_path / "out.json", model={}, left_out={}, images=images(), failed=[])
    assert not list(tmp_path.iterdir())


def test_an_overlay_shows_outlines_and_leaves_the_inside(masks) -> None:
    drawn = MaskAnswers(CLASSES, "someone").overlay(*found(masks))
    assert drawn.shape == (30, 40, 3) and drawn[5, 10].any() and not drawn[10, 12].any()

"""What is found on any image comes back in its own pixels, as records, files and pictures."""

import argparse
import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from datasets.boxes.batch import collate_boxes, with_channels
from datasets.boxes.class_set import BoxClasses
from datasets.files.colour import as_grey, read_picture
from datasets.files.image_files import read_images
from tasks.boxes import BoxTask
from tests.support.box_data import SIZE, picture
from tests.support.run_scripts import ROOT
from tests.test_box_batch import box_sample
from transforms.augment import EvalTransforms
from transforms.multiscale import ShortSideTransforms
from util.prediction.boxes.image_boxes import image_id, source_sample
from util.prediction.boxes.looks import BoxLooks
from util.prediction.boxes.predict import BoxPredictor
from util.prediction.predictor import require_one_task
from util.reporting.visualise import PREDICTION

CLASSES = BoxClasses(("cat", "dog"), (17, 18))


def bright(batch):
    """Stands in for a model: the box of all that is bright, and one that leaves the canvas."""
    boxes, height, width = [], *batch.images.shape[-2:]
    for image in batch.to("cpu").images:
        rows, columns = (torch.nonzero((image.amax(0) > 0.6).any(axis)).squeeze(1) for axis in (1, 0))
        first = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        boxes.append(
            [list(map(float, first)), [-20.0, -20.0, width / 2, height + 20.0], [0.0, 0.0, 1.0, 1.0]]
        )
    scores = torch.tensor([[0.9, 0.4, 0.0]]).expand(len(boxes), -1)
    labels = torch.tensor([[1, 0, 0]]).expand(len(boxes), -1)
    return SimpleNamespace(final=SimpleNamespace(boxes=torch.tensor(boxes), scores=scores, labels=labels))


@pytest.fixture
def images(tmp_path):
    """A colour picture of COCO's kind of name, and a grey one."""
    large = cv2.resize(picture("b"), (4 * SIZE[0], 4 * SIZE[1]), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(tmp_path / "000000000139.png"), large[..., ::-1])
    cv2.imwrite(str(tmp_path / "film.png"), cv2.cvtColor(large, cv2.COLOR_RGB2GRAY))
    return [next(read_images(tmp_path / name)) for name in ("000000000139.png", "film.png")]


@pytest.mark.parametrize("transforms", [EvalTransforms((192, 256)), ShortSideTransforms(90, 200)])
@pytest.mark.parametrize("colour", [False, True])
def test_boxes_come_back_to_the_pixels_of_the_image(images, transforms, colour, tmp_path):
    seen = []

    def find(batch):
        seen.append(batch.images.shape[1])
        return bright(batch)

    found = BoxPredictor(find, transforms, CLASSES, tmp_path / "a.pt", colour=colour)(images[:1])
    assert seen == [3 if colour else 1]
    boxes = found[0].boxes
    if colour:  # the bright box of picture b spans 10 to 22 and 10 to 15, four times as large here
        assert np.abs(boxes[0] - [40, 40, 88, 60]).max() < 2.5
    assert (boxes >= 0).all() and (boxes[:, 2] <= 160).all() and (boxes[:, 3] <= 120).all()
    assert found[0].scores.tolist() == pytest.approx([0.9, 0.4])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("colour", [False, True])
def test_colours_beyond_8_bits_are_seen_as_in_training(tmp_path, colour, suffix):
    file = tmp_path / f"deep{suffix}"
    deep = picture("b").astype(np.uint16) * [200, 60, 20]  # OpenCV's order: blue first
    cv2.imwrite(str(file), deep.astype(np.uint16))
    (image,) = read_images(file)
    seen = source_sample(image, CLASSES, colour=colour).image
    trained = read_picture(file, SIZE)
    assert np.array_equal(seen, trained if colour else as_grey(trained))


def test_files_hold_the_ids_of_the_source_and_agree(images, tmp_path):
    predictor = BoxPredictor(bright, EvalTransforms((192, 256)), CLASSES, tmp_path / "a.pt", colour=True)
    answers = predictor.answers
    records = [answers.record(image, found) for image, found in zip(images, predictor(images), strict=True)]
    failed = [{"file": "x.png", "error": "damaged"}]
    args = {"model": answers.about(), "left_out": {}, "images": iter(records), "failed": failed}
    assert answers.write(tmp_path / "out.json", **args) == 2
    whole = json.loads((tmp_path / "out.json").read_text())
    assert whole["failed"] == failed and whole["model"]["category_ids"] == [17, 18]
    coco = json.loads((tmp_path / "out.coco.json").read_text())
    assert [(one["image_id"], one["category_id"]) for one in coco] == [
        (139, 18), (139, 17), ("film.png", 18), ("film.png", 17),
    ]  # fmt: skip
    assert [one["bbox"] for one in coco] == [
        box["bbox"] for image in whole["images"] for box in image["boxes"]
    ]
    with (tmp_path / "out.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["dog", "dog"]  # from a score of 0.5 on
    assert [float(rows[0][side]) for side in ("left", "top", "width", "height")] == coco[0]["bbox"]


def test_results_have_the_ids_of_a_coco_file_where_it_is_given(images, tmp_path):
    """Names that are numbers of their own, as those of video frames, are no ids."""
    names = ["000000000139.png", f"{tmp_path.name}/film.png", "elsewhere/film.png"]
    coco = {"images": [{"id": 5 + n, "file_name": name} for n, name in enumerate(names)]}
    (tmp_path / "j.json").write_text(json.dumps(coco))
    args = argparse.Namespace(image_ids=tmp_path / "j.json")
    predictor = BoxPredictor(bright, EvalTransforms((192, 256)), CLASSES, tmp_path / "a.pt", colour=True)
    assert BoxTask().inferring(predictor, args) is predictor
    found = predictor(images)
    known = [predictor.answers.record(image, one) for image, one in zip(images, found, strict=True)]
    assert [record["image_id"] for record in known] == [5, 6]
    known = BoxTask().as_read(args)
    assert known(images[0]) is images[0]
    for other in (replace(images[0], file=tmp_path / "140.png"), replace(images[0], slice=2)):
        with pytest.raises(ValueError, match=f"{other.file.name}: .* has this path"):
            known(other)
    for content, told in (({}, "no `images`"), ({"images": [{"id": "a", "file_name": "b"}]}, "integer id")):
        (tmp_path / "j.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match=told):
            BoxTask().as_read(args)


def test_two_files_of_one_name_are_told_apart(images, tmp_path, caplog):
    predictor = BoxPredictor(bright, EvalTransforms((192, 256)), CLASSES, tmp_path / "a.pt", colour=True)
    record = predictor.answers.record(images[0], predictor(images[:1])[0])
    records = [{**record, "file": f"{folder}/139.png"} for folder in "abc"]
    predictor.answers.write(tmp_path / "out.json", model={}, left_out={}, images=records, failed=[])
    ids = [139, "b/139.png", "c/139.png"]
    coco = json.loads((tmp_path / "out.coco.json").read_text())
    assert [one["image_id"] for one in coco] == [name for name in ids for _ in range(2)]
    whole = json.loads((tmp_path / "out.json").read_text())
    assert [one["image_id"] for one in whole["images"]] == ids
    assert "b/139.png: image_id 139 is that of a/139.png already" in caplog.text


def test_nothing_found_is_a_whole_file_too(images, tmp_path):
    empty = SimpleNamespace(
        final=SimpleNamespace(boxes=torch.zeros(1, 0, 4), scores=torch.zeros(1, 0), labels=torch.zeros(1, 0))
    )
    predictor = BoxPredictor(
        lambda _: empty, EvalTransforms((64, 64)), CLASSES, tmp_path / "a.pt", colour=False
    )
    records = [predictor.answers.record(images[1], predictor(images[1:])[0])]
    predictor.answers.write(tmp_path / "out.json", model={}, left_out={}, images=records, failed=[])
    assert json.loads((tmp_path / "out.coco.json").read_text()) == []
    assert json.loads((tmp_path / "out.json").read_text())["images"][0]["boxes"] == []


def test_pictures_show_what_is_sure_enough(images, tmp_path):
    predictor = BoxPredictor(bright, EvalTransforms((192, 256)), CLASSES, tmp_path / "a.pt", colour=True)
    found = predictor(images)
    shown = []
    for share in (0.95, 0.5, 0.2):
        looks = BoxLooks((tmp_path / "a.pt",), share)
        drawn = looks.predictor([predictor]).answers.overlay(images[0], found[0])
        assert drawn.shape == (120, 160, 3)
        shown.append(int((drawn == PREDICTION).all(-1).sum()))
    assert 0 == shown[0] < shown[1] < shown[2]


def test_several_checkpoints_are_refused(tmp_path):
    with pytest.raises(ValueError, match="2 checkpoints, expected one"):
        BoxLooks((tmp_path / "a.pt", tmp_path / "b.pt"), 0.5)


def test_slices_have_names_of_their_own(images):
    assert image_id(replace(images[0], slice=3)) == "000000000139.png:3"


def test_channels_follow_the_model():
    grey = collate_boxes([box_sample(32, 32)]).to("cpu").images
    assert torch.equal(with_channels(grey, 3)[:, 1], grey[:, 0])
    torch.testing.assert_close(with_channels(with_channels(grey, 3), 1), grey)


def test_an_ensemble_of_two_tasks_is_refused():
    landmarks = ROOT / "weights/cephdetr19.safetensors"
    require_one_task(BoxTask(), [landmarks])  # the first one's is known already
    with pytest.raises(ValueError, match="finds landmarks, the first checkpoint boxes"):
        require_one_task(BoxTask(), [landmarks, landmarks])

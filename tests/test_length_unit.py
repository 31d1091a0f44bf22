"""Errors in percent of a length that every image shows: through data, losses, metrics, files and words."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from datasets.landmarks.batch import collate
from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.meaning import LandmarkMeaning
from datasets.landmarks.unit import LengthUnit
from datasets.prepared.prepared import PreparedCase, PreparedDataset, require_spacing, write_prepared
from models.landmarks.losses import l1_mm
from models.landmarks.prediction import Prediction, Targets
from tasks.landmarks import LandmarkTask
from transforms.augment import EvalTransforms
from util.evaluation.landmarks.comparison import read_run, require_comparable
from util.evaluation.landmarks.evaluation import LandmarkEvaluation
from util.evaluation.landmarks.metrics import Errors, LandmarkEvaluator, concatenate, headline, summarise
from util.evaluation.landmarks.prediction_file import errors_of_file
from util.evaluation.landmarks.unit_names import named_as_mm, named_by_unit
from util.inspection.landmarks.input import mm_per_pixel

SET = LandmarkSet("three", ("top", "left", "right"), ("T", "L", "R"), pairs=((1, 2),))
POINTS = np.array([[40.0, 20.0], [20.0, 100.0], [60.0, 130.0]])  # left to right: 50 pixels
SIZE = (80, 200)  # width, height
UNKNOWN = np.full(2, np.nan)


def prepared(tmp_path, unit: LengthUnit | None, points=POINTS, spacing=UNKNOWN):
    image = np.full(SIZE[::-1], 90, np.uint8)
    case = PreparedCase("a", image, points, spacing, "a.png", SIZE)
    cases = {"train": [case], "val": [replace(case, name="b", image=image[::-1] + 1)]}
    write_prepared(
        tmp_path / "data",
        cases,
        landmark_set=SET,
        labels="me",
        created_by="test",
        source_files={},
        unit=unit,
    )
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("of", "spacing", "expected"),
    [
        ("image height", UNKNOWN, (0.5, 0.5)),
        ("image width", UNKNOWN, (1.25, 1.25)),
        (("left", "right"), UNKNOWN, (2.0, 2.0)),
        ("image height", np.array([0.2, 0.4]), (0.25, 0.5)),  # 80 mm high: x counts half as much a pixel
        (
            ("left", "right"),
            np.array([0.3, 0.4]),
            (100 * 0.3 / np.hypot(12, 12), 100 * 0.4 / np.hypot(12, 12)),
        ),
        (None, np.array([0.2, 0.4]), (0.2, 0.4)),
    ],
)
def test_units_a_pixel(of, spacing, expected):
    np.testing.assert_allclose(LengthUnit(of).per_pixel(POINTS, SIZE, spacing, SET.landmarks), expected)


def test_a_length_that_an_image_does_not_show_is_unknown_and_named(tmp_path):
    points = POINTS.copy()
    points[2] = np.nan
    data = PreparedDataset(prepared(tmp_path, LengthUnit(("left", "right")), points), "train")
    with pytest.raises(ValueError, match=r"'a' of 'train' does not show the length of '% of left to right'"):
        require_spacing(data)
    batch = collate([PreparedDataset(data.folder, "train", EvalTransforms((96, 64)))[0]])
    with pytest.raises(ValueError, match=r"case a: does not show the length of '% of left to right'") as said:
        LandmarkEvaluator().add(moved_right(batch, 1.0), batch)
    assert "mm" not in str(said.value)


def test_without_spacing_and_unit_the_message_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=r"expected mm per pixel.*--unit 'image height'"):
        require_spacing(PreparedDataset(prepared(tmp_path, None), "train"))


@pytest.mark.parametrize(
    "value", ["image depth", ["left"], ["left", "left"], ["left", "chin"], 3, ["a", "b", "c"]]
)
def test_what_is_no_length_is_refused_with_its_source(value):
    with pytest.raises(ValueError, match=r"dataset\.json: unit"):
        LengthUnit.from_json(value, SET, "dataset.json")


@pytest.mark.parametrize("of", [None, "image height", ("left", "right")])
def test_folder_and_checkpoint_carry_the_unit(tmp_path, of):
    unit = LengthUnit(of)
    data = PreparedDataset(prepared(tmp_path, unit, spacing=np.array([0.1, 0.1])), "train")
    assert data.unit == unit
    meaning = LandmarkTask().meaning(data)
    assert LandmarkMeaning.from_dict(json.loads(json.dumps(meaning.to_dict())), "best.pt").unit == unit
    assert ("unit" in meaning.to_dict()) == (of is not None)  # checkpoints in mm are as they were


@pytest.fixture
def batch(tmp_path):
    data = PreparedDataset(prepared(tmp_path, LengthUnit("image height")), "train", EvalTransforms((96, 64)))
    return collate([data[0]])


def moved_right(batch, pixels: float) -> Prediction:
    """Every landmark ``pixels`` source pixels to the right of the truth."""
    zoom = 96 / SIZE[1]
    return Prediction(batch.points + torch.tensor([pixels * zoom / 64, 0.0]), torch.full((1, 3, 2), -4.0))


def test_losses_and_errors_are_in_percent_of_the_height(batch):
    prediction = moved_right(batch, 5.0)  # 5 of 200 pixels: 2.5 %
    targets = Targets(batch.points, batch.present, batch.mm_per_unit)
    torch.testing.assert_close(l1_mm(prediction, targets), torch.tensor(2.5 / 2), rtol=1e-4, atol=0)
    evaluator = LandmarkEvaluator()
    evaluator.add(prediction, batch)
    errors = evaluator.results()
    np.testing.assert_allclose(errors.radial_mm, 2.5, rtol=1e-5)
    assert errors.unit == "% of the image height"
    assert summarise(errors).sdr_percent == {"0.5": 0.0, "1.0": 0.0, "2.0": 0.0, "4.0": 100.0}


def evaluated(batch, tmp_path, pixels: float) -> LandmarkEvaluation:
    evaluator = LandmarkEvaluator()
    evaluator.add(moved_right(batch, pixels), batch)
    errors = evaluator.results()
    return LandmarkEvaluation(
        errors=errors,
        summary=summarise(errors),
        landmark_set=SET,
        labels="me",
        checkpoint=tmp_path / "run" / "best.pt",
        folder=tmp_path,
        subset="train",
    )


def test_words_files_and_headline_name_the_unit_and_no_millimetre(batch, tmp_path):
    evaluation = evaluated(batch, tmp_path, 5.0)
    text = evaluation.text()
    assert "MRE 2.500 % of the image height" in text and "mm" not in text.replace("summ", "")
    content = evaluation.to_dict()
    assert "_mm" not in json.dumps(content) and content["unit"] == "% of the image height"
    assert content["mre_percent_of_length"] == pytest.approx(2.5)
    numbers = headline(evaluation.summary)
    assert LandmarkTask().words(numbers)["MRE"] == "2.500 % of the image height"
    assert LandmarkTask.criteria["mre"](numbers) == pytest.approx(2.5)


def test_a_file_in_percent_is_compared_but_not_taken_for_millimetres(batch, tmp_path):
    file = tmp_path / "one.json"
    file.write_text(json.dumps(evaluated(batch, tmp_path, 5.0).to_dict()))
    run = read_run(file)
    np.testing.assert_allclose(run.radial_mm, 2.5, rtol=1e-5)
    with pytest.raises(ValueError, match="errors in mm and in % of the image height"):
        require_comparable([run, replace(run, unit="mm")])
    with pytest.raises(ValueError, match="expected mm"):
        errors_of_file(file)


def test_pictures_tell_pixels_where_lengths_are_in_percent(tmp_path):
    known = np.array([0.1, 0.1])
    percent = PreparedDataset(prepared(tmp_path / "a", LengthUnit("image height"), spacing=known), "train")
    millimetres = PreparedDataset(prepared(tmp_path / "b", None, spacing=known), "train")
    assert np.isnan(mm_per_pixel(percent.load(0))) and mm_per_pixel(millimetres.load(0)) == pytest.approx(0.1)


def test_names_by_unit_lead_there_and_back():
    content = {"mre_mm": 1.0, "parts": [{"errors_mm": [1.0], "sdr_percent": {"2.0": 5.0}}]}
    assert named_by_unit(content, "mm") is content
    renamed = named_by_unit(content, "% of the image width")
    assert renamed["parts"][0]["errors_percent_of_length"] == [1.0] and "mre_mm" not in renamed
    assert named_as_mm(renamed) == content


def test_units_do_not_mix(batch):
    evaluator = LandmarkEvaluator()
    evaluator.add(moved_right(batch, 1.0), batch)
    errors: Errors = evaluator.results()
    with pytest.raises(ValueError, match="expected one unit"):
        concatenate([errors, replace(errors, unit="mm")])

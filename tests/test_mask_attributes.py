"""What a model tells of whole images: beside the truth, averaged over looks, in records and files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from datasets.files.image_files import SourceImage
from datasets.masks.batch import collate
from datasets.masks.class_set import ClassSet
from datasets.masks.dataset import MaskDataset
from datasets.masks.meaning import MaskMeaning
from models.masks.mask_model import MaskModel, MaskOutputs
from tests.support.tiny_masks import write_chests
from util.evaluation.masks.attributes import (
    AttributeResults,
    attribute_results,
    attribute_summary,
    attribute_table,
)
from util.evaluation.masks.collected import MaskCollector
from util.evaluation.masks.mask_evaluation import MaskEvaluation, evaluated_by
from util.prediction.masks.answers import MaskAnswers
from util.prediction.masks.image_masks import ImageMasks
from util.prediction.masks.looks import MaskLooks
from util.prediction.masks.predict import MaskFinder, MaskPredictor, Member
from util.reporting.masks.mask_report import write_report

HAND = ClassSet("hand", ("bone",), (), {"sex": ("female", "male"), "side": ("left", "right")})


@pytest.fixture
def sex() -> AttributeResults:
    """Five images of four persons: of the four known ones two women, one taken for a man, and two men."""
    return AttributeResults(
        name="sex",
        values=("female", "male"),
        true=("female", "female", "male", "male", None),
        probabilities=np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6], [1.0, 0.0]]),
        persons=("a", "b", "c", "c", "d"),
    )


def test_accuracy_counts_the_images_of_which_it_is_known(sex) -> None:
    found = json.loads(json.dumps(attribute_summary(sex), allow_nan=False))
    assert found["accuracy"] == 3 / 4 and found["num_known"] == 4
    assert found["confusion"] == {"female": {"female": 1, "male": 1}, "male": {"female": 0, "male": 2}}
    assert found["true"] == ["female", "female", "male", "male", None]
    assert found["found"] == ["female", "male", "male", "male", "female"]
    assert found["probability"] == [0.9, 0.7, 0.8, 0.6, 1.0]
    assert sex.accuracy("female")[0] == 1 / 2 and sex.accuracy("male")[0] == 1.0


def test_the_interval_is_over_persons() -> None:
    """Of two persons each is drawn twice in a quarter of the draws, so all right and all wrong are inside."""
    two = AttributeResults(
        "side", ("left", "right"), ("left",) * 4, np.array([[1.0, 0.0], [0.0, 1.0]] * 2), ("a", "b") * 2
    )
    assert two.accuracy() == (0.5, 0.0, 1.0)
    alone = AttributeResults("side", ("left", "right"), ("left",) * 2, np.array([[1.0, 0.0]] * 2), ("a",) * 2)
    assert alone.accuracy() == (1.0, 1.0, 1.0)


def test_the_table_has_a_row_a_true_value(sex) -> None:
    header, everything, women, men = attribute_table(sex)
    assert header == ["sex", "n", "accuracy", "95 %", "found female", "found male"]
    assert everything[:3] == ["all", "4", "0.750"] and everything[4:] == ["1", "3"]
    assert women[:3] == ["female", "2", "0.500"] and women[4:] == ["1", "1"]
    assert men[:3] == ["male", "2", "1.000"] and men[4:] == ["0", "2"]


def test_data_that_do_not_know_it_give_no_accuracy_and_other_values_are_wrong() -> None:
    told = [(np.array([0.1, 0.9]),), (np.array([0.8, 0.2]),)]
    sexes = {"sex": ("female", "male")}
    (nobody,) = attribute_results(sexes, [{}, {"side": "left"}], told, ("a", "b"))
    summary = attribute_summary(nobody)
    assert (summary["accuracy"], summary["ci95"], summary["num_known"]) == (None, None, 0)
    assert summary["found"] == ["male", "female"]
    assert attribute_table(nobody)[1][:4] == ["all", "0", "-", "- to -"]
    (other,) = attribute_results(sexes, [{"sex": "other"}, {"sex": "female"}], told, ("a", "b"))
    assert other.accuracy()[0] == 0.5
    assert other.confusion()["other"] == {"female": 0, "male": 1}
    assert attribute_results(sexes, [{}, {}], [(), ()], ("a", "b")) == (), "a model without heads"


class LeftRightModel(MaskModel):
    """Sure of the sex by a number of its own, and of the side by which half of the canvas is brighter."""

    def __init__(self, male: float = 0.75) -> None:
        super().__init__(1, attribute_values=(2, 2))
        self.male = male

    def forward(self, images: Tensor, targets: None = None) -> MaskOutputs:
        left, right = (half.mean((1, 2, 3)) for half in images.chunk(2, -1))
        side = torch.stack([left, right], 1) > torch.stack([right, left], 1)
        sex = torch.tensor([1.0 - self.male, self.male]).log().expand(len(images), 2)
        return MaskOutputs(torch.zeros(len(images), 1, *images.shape[2:]), 1, (sex, 20.0 * side.float()))


def finder(*models: MaskModel, classes: tuple[ClassSet, ...] = (HAND,), **looks) -> MaskFinder:
    members = [Member(model, classes[n % len(classes)], (64, 96)) for n, model in enumerate(models)]
    return MaskFinder(members, MaskLooks(tuple(Path(f"{n}.pt") for n in range(len(members))), **looks))


def xray() -> SourceImage:
    image = np.zeros((128, 192), np.uint8)
    image[:, 20:60] = 255  # the left half is brighter
    return SourceImage(image, np.full(2, 0.5), Path("x.png"), None)


@pytest.mark.parametrize("looks", [{}, {"flip": True}, {"scales": (1.0, 2.0), "windows": 0.5, "flip": True}])
def test_mirror_images_and_windows_tell_the_same_side(looks) -> None:
    """A window of a canvas of twice the size would see one half alone; a mirror image has the other side."""
    found = finder(LeftRightModel(), **looks).find(xray()).attributes
    assert found["side"]["left"] > 0.99 and found["sex"]["male"] == pytest.approx(0.75)


def test_an_ensemble_averages_what_all_its_members_tell() -> None:
    both = finder(LeftRightModel(0.6), LeftRightModel(0.9)).find(xray()).attributes
    assert both["sex"] == pytest.approx({"female": 0.25, "male": 0.75})
    other = ClassSet("hand", HAND.classes, (), {"sex": ("male", "female"), "side": ("left", "right")})
    mixed = finder(LeftRightModel(), LeftRightModel(), classes=(HAND, other), flip=True)
    assert mixed.find(xray()).attributes == {} and mixed.answers.attributes == {}


def test_models_that_tell_different_attributes_are_named(caplog) -> None:
    other = ClassSet("hand", HAND.classes, (), {"sex": ("male", "female")})
    members = [
        MaskPredictor(Path(file), MaskMeaning(classes, "made"), Member(LeftRightModel(), classes, (64, 96)))
        for file, classes in (("a.pt", HAND), ("b.pt", other))
    ]
    MaskPredictor.together(members, MaskLooks((Path("a.pt"), Path("b.pt"))))
    assert "attributes are left out" in caplog.text
    assert "a.pt: ['sex', 'side']; b.pt: ['sex']" in caplog.text


def test_records_and_a_table_hold_the_most_probable_value(tmp_path) -> None:
    answers = finder(LeftRightModel()).answers
    image, told = xray(), {"sex": {"female": 0.25, "male": 0.75}, "side": {"left": 1.0, "right": 0.0}}
    found = ImageMasks(np.zeros((128, 192, 1), np.uint8), 1, image.spacing, told)
    record = answers.record(image, found)
    assert record["attributes"]["sex"] == {"value": "male", "probability": 0.75}
    assert answers.about()["attributes"]["side"] == ["left", "right"]
    answers.write(tmp_path / "out.json", model={}, left_out={}, images=[record], failed=[])
    with (tmp_path / "out_attributes.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [
        {"file": "x.png", "slice": "", "attribute": "sex", "value": "male", "probability": "0.75"},
        {"file": "x.png", "slice": "", "attribute": "side", "value": "left", "probability": "1.0"},
    ]


def test_records_of_an_archive_that_older_code_began_have_empty_cells(tmp_path) -> None:
    answers = finder(LeftRightModel()).answers
    told = {"sex": {"female": 0.25, "male": 0.75}, "side": {"left": 1.0, "right": 0.0}}
    image = xray()
    newer = answers.record(image, ImageMasks(np.zeros((128, 192, 1), np.uint8), 1, image.spacing, told))
    older = {key: value for key, value in newer.items() if key != "attributes"} | {"file": "old.png"}
    answers.write(tmp_path / "out.json", model={}, left_out={}, images=[older, newer], failed=[])
    written = json.loads((tmp_path / "out.json").read_text())["images"]
    assert written == [older, newer]
    with (tmp_path / "out_attributes.csv").open() as stream:
        rows = [tuple(row.values()) for row in csv.DictReader(stream)]
    assert rows[:2] == [("old.png", "", "sex", "", ""), ("old.png", "", "side", "", "")]
    assert [row[0] for row in rows[2:]] == ["x.png", "x.png"]


def test_a_model_without_heads_writes_nothing_of_attributes(tmp_path) -> None:
    answers = MaskAnswers(HAND, "someone")
    found = ImageMasks(np.zeros((128, 192, 1), np.uint8), 1, np.full(2, 0.5))
    record = answers.record(xray(), found)
    assert "attributes" not in record and "attributes" not in answers.about()
    answers.write(tmp_path / "out.json", model={}, left_out={}, images=[record], failed=[])
    assert not (tmp_path / "out_attributes.csv").exists()


class SexModel(MaskModel):
    """Sees a man everywhere, three to one; no structure."""

    def __init__(self) -> None:
        super().__init__(4, attribute_values=(2,))

    def forward(self, images: Tensor, targets: None = None) -> MaskOutputs:
        sex = torch.tensor([0.25, 0.75]).log().expand(len(images), 2)
        return MaskOutputs(torch.full((len(images), 4, *images.shape[2:]), -9.0), 1, (sex,))


def test_batches_and_looks_collect_the_same_beside_what_the_data_say(tmp_path) -> None:
    """Test images 10 and 11 are of a man, P5, and 12 and 13 of a woman, P6."""
    dataset = MaskDataset(write_chests(tmp_path / "chests"), "test")
    model, batch = SexModel(), collate([dataset[index] for index in range(4)])
    collector = MaskCollector()
    collector.update(model(batch.to("cpu").images), batch)
    look = MaskFinder([Member(model, dataset.class_set, (64, 96))], MaskLooks((Path("best.pt"),)))
    for collected in (collector.results(), evaluated_by(look, map(dataset.load, range(4)))):
        results = attribute_results(
            dataset.class_set.attributes, collected.stated, collected.told, collected.results.persons
        )
        (sex,) = results
        assert sex.true == ("male", "male", "female", "female") and sex.accuracy()[0] == 0.5
        np.testing.assert_allclose(sex.probabilities, [[0.25, 0.75]] * 4, rtol=1e-6)
    looks = MaskLooks((Path("best.pt"),))
    evaluation = MaskEvaluation(
        collected, "synthetic", "synthetic", dataset.folder, "test", looks, (), results
    )
    assert evaluation.to_dict()["attributes"]["sex"]["accuracy"] == 0.5
    assert "sex     n  accuracy" in evaluation.text()
    write_report(tmp_path / "report.html", evaluation, lambda index: dataset.load(index).image)
    page = (tmp_path / "report.html").read_text()
    assert "Attributes of the image" in page and "<td>0.500</td>" in page

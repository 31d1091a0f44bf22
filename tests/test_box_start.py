"""A detector that starts from other weights: published ones, and those of a training on other classes."""

from types import SimpleNamespace

import cv2
import pytest
import torch

from datasets.boxes.box_dataset import open_boxes
from datasets.boxes.class_set import BoxClasses
from datasets.boxes.meaning import BoxMeaning
from models.backbone import TimmBackbone
from models.boxes.corrections import for_published_weights
from models.boxes.refinement import BoxRefinement
from tasks.boxes import BoxTask
from tests.support.box_data import picture, write_coco
from tests.support.small_boxes import small_boxes
from transforms.augment import EvalTransforms
from transforms.multiscale import ShortSideTransforms
from util.checkpoints.boxes.published import published_state
from util.checkpoints.checkpoint import FORMAT, save_checkpoint
from util.training.initial_weights import starting_model, take_weights
from util.training.settings import TrainSettings

TASK = BoxTask()
THREE = BoxClasses(("incisor", "canine", "molar"), (1, 2, 5))
TWO = BoxClasses(("Molar", "implant"), (4, 9))


def blank(num_classes):
    """A detector of zeros."""
    model = small_boxes(num_classes=num_classes, refinement=BoxRefinement(embed_dim=32))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


@pytest.fixture(scope="module")
def trained():
    return small_boxes(refinement=BoxRefinement(embed_dim=32))


@pytest.fixture
def published(tmp_path, trained):
    names = ["incisor", "canine", "molar"]
    torch.save({"model": published_state(trained, names)}, tmp_path / "published.pth")
    return tmp_path / "published.pth"


def test_every_tensor_that_depends_on_the_classes_is_named():
    """By the first axis alone: what a start from other classes relies on."""
    one, other = (blank(count).state_dict() for count in (3, 7))
    differing = {name for name in one if one[name].shape != other[name].shape}
    assert differing == set(blank(3).output_tensors)
    for name in differing:
        assert one[name].shape[0] * 7 == other[name].shape[0] * 3
        assert one[name].shape[1:] == other[name].shape[1:]


def test_a_checkpoint_of_other_classes_gives_those_of_the_same_name(tmp_path, trained):
    content = {"format": FORMAT, "config": "", "metrics": {}, "iteration": 0, "weights": trained.state_dict()}
    save_checkpoint(tmp_path / "three.pt", content | BoxMeaning(THREE).to_dict())
    model = blank(2)
    told = take_weights(model, tmp_path / "three.pt", TASK, BoxMeaning(TWO))
    assert "1 of 2 boxes known: Molar (there molar); new: implant" in told
    for head, source in zip(model.decoder.class_heads, trained.decoder.class_heads, strict=True):
        assert torch.equal(head.weight[0], source.weight[2]) and not head.weight[1].any()
    assert torch.equal(model.content.weight, trained.content.weight)


def test_the_shares_of_tokens_stay_those_of_the_config(tmp_path, trained):
    content = {"format": FORMAT, "config": "", "metrics": {}, "iteration": 0, "weights": trained.state_dict()}
    save_checkpoint(tmp_path / "three.pt", content | BoxMeaning(THREE).to_dict())
    ratios = (0.1, 0.2, 0.5, 1.0)
    model = small_boxes(refinement=BoxRefinement(embed_dim=32), level_ratios=ratios, layer_ratios=(0.8, 0.4))
    take_weights(model, tmp_path / "three.pt", TASK, BoxMeaning(THREE))
    assert model.ratios.levels == pytest.approx(ratios) and model.ratios.layers == pytest.approx((0.8, 0.4))


def test_published_weights_leave_the_shares_to_the_config_too(tmp_path, trained):
    torch.save(published_state(trained), tmp_path / "bare.pth")
    ratios = (0.5, 0.8, 1.0, 1.0)
    model = small_boxes(refinement=BoxRefinement(embed_dim=32), level_ratios=ratios)
    told = TASK.take_foreign_weights(model, tmp_path / "bare.pth", BoxMeaning(THREE))
    assert model.ratios.levels == pytest.approx(ratios)
    assert told is not None and told.count("of the config, not of the file") == 1
    assert "of the config, not of the file: model.level_ratios 0.5 0.8 1 1, there 0.4 0.8 1 1" in told


def test_classes_of_which_none_is_known_are_new(tmp_path, trained):
    torch.save(published_state(trained), tmp_path / "bare.pth")
    model = blank(2)
    meaning = BoxMeaning(BoxClasses(("crown", "implant"), (100, 200)))
    told = TASK.take_foreign_weights(model, tmp_path / "bare.pth", meaning)
    assert told is not None and "0 of 2 classes known: none; new: crown, implant" in told
    assert not model.proposals.classify.weight.any()


def test_published_weights_start_a_training_of_other_classes(published, trained):
    model = blank(2)
    told = TASK.take_foreign_weights(model, published, BoxMeaning(TWO))
    assert told is not None and "classes of the file: incisor, canine, molar" in told
    assert "1 of 2 classes known: Molar; new: implant" in told and "tensors taken whole" in told
    assert torch.equal(model.proposals.classify.weight[0], trained.proposals.classify.weight[2])
    assert not model.denoising.labels.weight[1].any()
    assert torch.equal(model.neck.norms[0].weight, trained.neck.norms[0].weight)


def test_what_published_weights_were_not_trained_with_is_told(published):
    told = TASK.take_foreign_weights(blank(3), published, BoxMeaning(THREE))
    assert told is not None and (
        "not what these weights were trained with: border_cells, bounded_priority, normed_references, "
        "add_scores; model.corrections=L(for_published_weights)() leaves them out" in told
    )
    assert (
        "learns here, fixed in the published training: BatchNorm (model.backbone.norm=frozen), "
        "the first stage (model.backbone.frozen)" in told
    )
    backbone = TimmBackbone("resnet10t", norm="frozen", frozen=["layer1"])
    as_trained = small_boxes(
        refinement=BoxRefinement(embed_dim=32), corrections=for_published_weights(), backbone=backbone
    )
    told = TASK.take_foreign_weights(as_trained, published, BoxMeaning(THREE))
    assert told is not None and "not what these weights" not in told and "learns here" not in told


def test_a_file_without_names_gives_rows_by_category_id(tmp_path, trained):
    torch.save(published_state(trained), tmp_path / "bare.pth")
    model = blank(2)
    told = TASK.take_foreign_weights(model, tmp_path / "bare.pth", BoxMeaning(BoxClasses(("a", "b"), (2, 7))))
    assert told is not None and "1 of 2 classes known: a (there 2); new: b" in told
    assert torch.equal(model.proposals.classify.weight[0], trained.proposals.classify.weight[2])


def test_parts_of_a_file_without_names_too(tmp_path, trained):
    torch.save(published_state(trained), tmp_path / "bare.pth")
    model, meaning = blank(2), BoxMeaning(BoxClasses(("a", "b"), (2, 7)))
    told = TASK.take_foreign_weights(model, tmp_path / "bare.pth", meaning, ["decoder"])
    assert told is not None and "1 of 2 classes known: a (there 2); new: b" in told
    for head, source in zip(model.decoder.class_heads, trained.decoder.class_heads, strict=True):
        assert torch.equal(head.weight[0], source.weight[2]) and not head.weight[1].any()


def test_as_many_classes_without_names_are_taken_as_they_are(tmp_path, trained):
    torch.save(published_state(trained), tmp_path / "bare.pth")
    model = blank(3)
    told = TASK.take_foreign_weights(model, tmp_path / "bare.pth", BoxMeaning(THREE))
    assert told is not None and "all 3 classes as they are there" in told
    assert torch.equal(model.proposals.classify.weight, trained.proposals.classify.weight)


def test_parts_of_published_weights(published, trained):
    model = blank(3)
    told = TASK.take_foreign_weights(model, published, BoxMeaning(THREE), ["backbone"])
    assert told is not None and "missing" not in told and "not used" not in told
    for name, tensor in model.named_parameters():
        assert torch.equal(tensor, trained.state_dict()[name]) == name.startswith("backbone") or not (
            trained.state_dict()[name].any()
        ), name
    with pytest.raises(ValueError, match="'backbon', no module of the model; did you mean 'backbone'"):
        TASK.take_foreign_weights(model, published, BoxMeaning(THREE), ["backbon"])


def test_other_files_are_left_to_the_checkpoints_reader(tmp_path):
    torch.save({"conv.weight": torch.zeros(2)}, tmp_path / "other.pth")
    assert TASK.take_foreign_weights(blank(2), tmp_path / "other.pth", BoxMeaning(TWO)) is None
    settings = TrainSettings("unused", 1, 1, init_checkpoint=str(tmp_path / "other.pth"))
    config = {"_target_": "tests.support.small_boxes:small_boxes"}
    with pytest.raises(ValueError, match=r"other\.pth: format None, .* not written by main\.py\. Published"):
        starting_model(config, settings, TASK, BoxMeaning(TWO), resumed=False)


def model_of(channels: int, **limits: int) -> SimpleNamespace:
    weights = torch.zeros(8, channels, 3, 3)
    return SimpleNamespace(backbone=SimpleNamespace(parameters=lambda: iter([weights])), **limits)


@pytest.mark.parametrize(("colour", "told"), [(False, False), (True, True)])
def test_a_grey_model_of_images_in_colour_is_told(tmp_path, caplog, colour, told):
    """Whichever image is in colour: the first one shows no object and nearly none."""
    write_coco(tmp_path, colour=colour)
    cv2.imwrite(str(tmp_path / "train2017/a.png"), picture("a", colour=False))
    BoxTask().begin(model_of(1), open_boxes(tmp_path, "train", EvalTransforms((64, 64))))
    assert ("images in colour, which the model sees grey" in caplog.text) is told


@pytest.mark.parametrize(
    ("limits", "side", "told"),
    [
        ({"num_queries": 3, "num_detections": 3}, 64, []),
        ({"num_queries": 9, "num_detections": 2}, 64, ["1 images", "(up to 3)", "model.num_detections=2"]),
        ({}, 32, []),
        ({}, 2, ["4 of 4 objects looked at are narrower than a pixel"]),
    ],
)
def test_objects_that_cannot_be_found_are_told(tmp_path, caplog, limits, side, told):
    write_coco(tmp_path)
    data = open_boxes(tmp_path, "train", ShortSideTransforms(side, 2 * side))
    with caplog.at_level("INFO"):
        BoxTask().begin(model_of(3, **limits), data)
    assert "a mirror image exchanges: tooth right and tooth left" in caplog.messages[0]
    assert all(words in caplog.text for words in told) and len(caplog.messages) == 1 + bool(told)


def test_images_without_an_object_are_refused(tmp_path):
    """As a draw such as ``val:3`` may be: all checkpoints would have one AP, and the first be the best."""
    write_coco(tmp_path)
    data = open_boxes(tmp_path, "train")
    TASK.require_trainable(data)
    data.records = data.records[2:]
    with pytest.raises(ValueError, match="no object on the 1 images of 'train'"):
        TASK.require_trainable(data)

"""Published weights: every tensor finds its place, and what does not is said."""

import pytest
import torch

from tests.support.small_boxes import CLASSES, noise, small_boxes
from util.checkpoints.boxes.published import decoded_classes, encoded_classes, published_state, take_published


@pytest.fixture
def file(tmp_path):
    """A published file of a detector of three classes."""
    model = small_boxes()
    with torch.no_grad():
        model.content.weight.add_(1.0)
    torch.save({"model": published_state(model, ["incisor", "canine", "molar"])}, tmp_path / "published.pth")
    return tmp_path / "published.pth", model


def test_a_detector_of_the_same_shape_takes_all(file):
    path, trained = file
    model = small_boxes()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    taken = take_published(model, path)
    assert taken.missing == () and taken.misshapen == {} and taken.unused == () and taken.rows == {}
    assert taken.classes == ("incisor", "canine", "molar")
    images = noise(1, 1, 64, 96)
    with torch.no_grad():
        one, other = trained.eval()(images).final, model.eval()(images).final
    assert torch.equal(one.boxes, other.boxes) and torch.equal(one.scores, other.scores)


def test_classes_are_found_by_name(file):
    path, trained = file
    model = small_boxes(num_classes=2)
    fresh = model.proposals.classify.weight.detach().clone()
    taken = take_published(model, path, class_names=["Molar", "implant"])
    assert "transformer.encoder_class_head.weight" in taken.rows and "1 of 2" in str(taken)
    assert torch.equal(model.proposals.classify.weight[0], trained.proposals.classify.weight[2])
    assert torch.equal(model.proposals.classify.weight[1], fresh[1])
    assert torch.equal(model.denoising.labels.weight[0], trained.denoising.labels.weight[2])


def test_classes_are_found_by_category_id(file):
    path, trained = file
    model = small_boxes(num_classes=2)
    take_published(model, path, category_ids=[2, 0])
    assert torch.equal(model.decoder.class_heads[1].bias, trained.decoder.class_heads[1].bias[[2, 0]])


def test_other_numbers_of_queries_take_the_first_rows(file):
    path, trained = file
    model = small_boxes(num_queries=30)
    taken = take_published(model, path)
    assert torch.equal(model.content.weight[:20], trained.content.weight)
    assert "transformer.tgt_embed.weight" in taken.rows


def test_what_is_missing_unused_or_misshapen_is_said(file):
    path, _ = file
    content = torch.load(path, weights_only=True)["model"]
    content.pop("transformer.level_embeds")
    content["transformer.alpha"] = torch.zeros(7)
    narrow = "transformer.encoder.layers.0.linear2.weight"
    wide, own = tuple(content[narrow].shape[::-1]), tuple(content[narrow].shape)
    content[narrow] = content[narrow].T.contiguous()
    content["roi_head.extra"] = torch.zeros(2)
    torch.save(content, path)
    taken = take_published(small_boxes(), path)
    assert taken.missing == ("transformer.level_embeds",)
    assert taken.misshapen == {"transformer.alpha": "(7,) for (3,)", narrow: f"{wide} for {own}"}
    assert taken.unused == ("roi_head.extra",)
    assert all(name in str(taken) for name in ("level_embeds", "alpha", "roi_head.extra"))


class _Hostile:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("content", [_Hostile(), [1, 2], {"a": 1}])
def test_other_files_are_refused(tmp_path, content, capsys):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth"):
        take_published(small_boxes(), tmp_path / "other.pth")
    assert capsys.readouterr().out == ""


def test_a_file_that_fits_nothing_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="no tensor fits"):
        take_published(small_boxes(), tmp_path / "other.pth")


def test_class_names_survive_their_codes():
    names = ["incisor", "", "wisdom tooth", "Zahn ä"]
    assert decoded_classes(encoded_classes(names)) == tuple(names)
    assert decoded_classes(None) == () and CLASSES == 3

"""Starting from other weights: landmark by landmark, all else as it is, and refused where it does not fit."""

import pytest
import torch
from omegaconf import OmegaConf

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.meaning import LandmarkMeaning
from tasks.landmarks import LandmarkTask
from tests.conftest import TINY_SET
from tests.support.run_scripts import ROOT, run_scripts
from tests.support.small_detr import random_images, small_detr, wake
from tests.support.smoke_checkpoint import write_smoke_checkpoint
from tests.support.tiny import TinyModel
from util.checkpoints.checkpoint import FORMAT, load_checkpoint, save_checkpoint
from util.config import instantiate, load_config
from util.training.initial_weights import starting_model, take_weights
from util.training.settings import TrainSettings

SOURCE = LandmarkSet("source", ("Nose", "ear", "tip of the chin", "left eye"), ("Ns", "E", "C", "LE"))
# of TINY_SET: left eye, nose and chin (by its abbreviation) are known there; right eye and mouth are new
KNOWN = {0: 3, 2: 0, 4: 2}
TASK, TINY = LandmarkTask(), LandmarkMeaning(TINY_SET, "any")
SMALL = {
    "landmark_detr_resnet18": ["embed_dim=32", "model.backbone.name=resnet10t", "model.fine_dim=16"],
    "unet_resnet18": [
        *("model.trunk.encoder=tu-resnet10t", "model.trunk.decoder_channels=[16,16,16]"),
        "model.codec.activation=linear",  # whose head has a bias
    ],
    "simcc_resnet18": ["model.backbone.name=resnet10t", "size=[96,64]"],
    "regression_resnet18": ["model.backbone.name=resnet10t"],
}


def small(kind, landmark_set, seed):
    """A model of this config, cut down, with noise on all weights and a mean shape of its own."""
    torch.manual_seed(seed)
    config = load_config(ROOT / f"configs/models/{kind}.py", SMALL[kind]).model
    model = instantiate(config, num_landmarks=len(landmark_set))
    wake(model, 0.05)
    model.mean_shape.uniform_(0.2, 0.8)
    return model.eval()


def save(file, model, landmark_set):
    """A checkpoint of ``model`` with all that a new training reads of one."""
    content = {"config": "", "labels": "synthetic", "metrics": {}, "iteration": 0, "format": FORMAT}
    save_checkpoint(file, content | {"landmark_set": landmark_set.to_dict(), "weights": model.state_dict()})
    return file


def settings(**changes):
    return TrainSettings(output_dir="unused", iterations=1, batch_size=1, **changes)


@pytest.mark.parametrize("file", sorted((ROOT / "configs/models").glob("*.py")), ids=lambda file: file.stem)
def test_every_model_names_the_tensors_that_depend_on_its_landmarks(file):
    """All of them, by the first axis alone: what else a transfer relies on."""
    with torch.device("meta"):  # shapes without memory
        model, larger = (instantiate(load_config(file).model, num_landmarks=count) for count in (3, 7))
    one, other = model.state_dict(), larger.state_dict()
    differing = {name for name in one if one[name].shape != other[name].shape}
    assert differing == ({"mean_shape", *model.output_tensors} & one.keys())
    for name in differing:
        assert one[name].shape[0] * 7 == other[name].shape[0] * 3
        assert one[name].shape[1:] == other[name].shape[1:]


@pytest.mark.parametrize("kind", SMALL)
def test_landmarks_in_another_order_predict_the_same(kind, tmp_path):
    order = [3, 0, 4, 1, 2]
    names, short = ([words[i] for i in order] for words in (TINY_SET.landmarks, TINY_SET.abbreviations))
    turned = LandmarkSet("turned", tuple(names), tuple(short))
    old, new = small(kind, TINY_SET, 0), small(kind, turned, 1)
    take_weights(new, save(tmp_path / "old.pt", old, TINY_SET), TASK, LandmarkMeaning(turned, "any"))
    new.mean_shape.copy_(old.mean_shape[order])
    images = random_images(1)
    with torch.no_grad():
        before, after = old(images).final, new(images).final
    assert torch.allclose(after.points, before.points[:, order], atol=1e-5)
    assert torch.allclose(after.log_scale, before.log_scale[:, order], atol=1e-4)
    assert not torch.allclose(after.points, before.points, atol=1e-3)


@pytest.mark.parametrize("kind", ["landmark_detr_resnet18", "regression_resnet18"])
def test_known_landmarks_are_taken_new_ones_stay_fresh_and_the_mean_shape_is_the_datas(kind, tmp_path):
    old, new = small(kind, SOURCE, 0), small(kind, TINY_SET, 1)
    fresh = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    said = take_weights(new, save(tmp_path / "old.pt", old, SOURCE), TASK, TINY)
    weights, given = new.state_dict(), old.state_dict()
    for name in new.output_tensors:
        rows, was, source = (
            tensors[name].unflatten(0, (count, -1))
            for tensors, count in ((weights, 5), (fresh, 5), (given, 4))
        )
        for index in range(5):
            expected = source[KNOWN[index]] if index in KNOWN else was[index]
            assert torch.equal(rows[index], expected)
    assert torch.equal(weights["mean_shape"], fresh["mean_shape"])
    others = weights.keys() - {"mean_shape", *new.output_tensors}
    assert all(torch.equal(weights[name], given[name]) for name in others)
    assert "3 of 5 landmarks known: left eye, nose (there Nose), chin (there tip of the chin);" in said
    assert said.endswith("new: right eye, mouth")


def test_landmarks_correspond_by_name_then_abbreviation_one_to_one():
    assert TINY_SET.counterparts(SOURCE) == KNOWN
    assert SOURCE.counterparts(TINY_SET) == {0: 2, 2: 4, 3: 0}
    short = LandmarkSet("short", ("c", "LE", "C"), ("c", "LE", "C"))  # as a file without abbreviations gives
    assert short.counterparts(TINY_SET) == {1: 0, 2: 4}  # C is as written, so c finds none left
    renamed = LandmarkSet("renamed", ("chin", "cheek"), ("Ch", "C"))
    assert renamed.counterparts(TINY_SET) == {0: 4}  # C was chin's, which is taken by name
    assert TINY_SET.counterparts(LandmarkSet("other", ("wrist",), ("W",))) == {}


def test_all_but_the_landmarks_is_taken_where_none_is_known(tmp_path):
    old, new = small("regression_resnet18", SOURCE, 0), small("regression_resnet18", TINY_SET, 1)
    head = new.head.weight.detach().clone()
    hand = LandmarkSet("hand", ("a", "b", "wrist", "d"), ("1", "2", "3", "4"))
    said = take_weights(new, save(tmp_path / "old.pt", old, hand), TASK, TINY)
    assert "0 of 5 landmarks known: none;" in said and torch.equal(new.head.weight, head)
    assert torch.equal(new.backbone.features.conv1[0].weight, old.backbone.features.conv1[0].weight)


def test_another_model_is_refused_by_tensor_and_gives_the_parts_that_fit(tmp_path):
    file = save(tmp_path / "old.pt", small_detr(4), SOURCE)
    torch.manual_seed(1)
    overrides = ["embed_dim=64", "model.backbone.name=resnet10t", "model.decoder.num_layers=3"]
    config = load_config(ROOT / "configs/models/landmark_detr_resnet18.py", overrides).model
    model = instantiate(config, num_landmarks=5)
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"old\.pt: .*layers\.2.* missing.* and \d+ more\. .*init_parts=\["):
        take_weights(model, file, TASK, TINY)
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in model.state_dict().items())
    said = take_weights(model, file, TASK, TINY, ["backbone"])
    assert said.endswith("none of them of an output")
    given = load_checkpoint(file)["weights"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, (given if name.startswith("backbone.") else fresh)[name])
    with pytest.raises(ValueError, match=r"init_parts names 'backbones', no module.*did you mean 'backbone'"):
        take_weights(model, file, TASK, TINY, ["backbones"])
    with pytest.raises(ValueError, match=r"TinyModel cannot start .* output_tensors"):
        take_weights(TinyModel(num_landmarks=5), file, TASK, TINY)


def test_only_weights_that_stay_are_fetched(tmp_path):
    """A file of pretrained weights that is absent stands for a hub that cannot be reached."""
    file = str(write_smoke_checkpoint(tmp_path / "old.pt", SOURCE))
    config = load_config(ROOT / "configs/smoke.py", ["model.backbone.weights=absent.pt"]).model
    resumed = starting_model(config, settings(init_checkpoint="gone.pt"), TASK, TINY, resumed=True)
    started = starting_model(config, settings(init_checkpoint=file), TASK, TINY, resumed=False)
    assert resumed.num_landmarks == started.num_landmarks == 5
    for wanted in (settings(), settings(init_checkpoint=file, init_parts=["neck"])):
        with pytest.raises(ValueError, match=r"'absent\.pt': no such file"):
            starting_model(config, wanted, TASK, TINY, resumed=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"init_checkpoint": 3}, r"train\.init_checkpoint=3, expected a file"),
        ({"init_checkpoint": "a.pt", "init_parts": "backbone"}, r"init_parts='backbone', expected names"),
        ({"init_checkpoint": "a.pt", "init_parts": []}, r"init_parts=\[\], expected names"),
        ({"init_parts": ["backbone"]}, r"init_parts=\['backbone'\] of no file\. Give one"),
    ],
)
def test_wrong_settings_are_explained(wrong, message):
    with pytest.raises(ValueError, match=message):
        settings(**wrong)


def test_main_starts_from_a_checkpoint_and_continues_without_it(tiny_prepared, tmp_path):
    """With a learning rate of zero, so that what a run saves is what it started from."""
    file, remove = write_smoke_checkpoint(tmp_path / "old.pt", SOURCE), tmp_path / "remove.py"
    given = load_checkpoint(file)["weights"]
    remove.write_text(f"import os\nos.remove({str(file)!r})\n")
    base = ["main.py", "--config-file", "configs/smoke.py", "--init-checkpoint", str(file)]
    base += [f"data.folder={tiny_prepared}", "optimizer.lr=0.0", "train.iterations=2", "train.save_minutes=0"]
    run, again, other = tmp_path / "run", tmp_path / "again", tmp_path / "other"
    middle = ["--resume-from-checkpoint", run / "last.previous.pt"]
    started, _, continued, absent = run_scripts(
        [
            [*base, f"train.output_dir={run}"],
            [str(remove)],
            [*base, f"train.output_dir={again}", *middle],
            [*base, f"train.output_dir={other}"],
        ]
    )
    assert started.returncode == 0, started.stderr
    assert "3 of 5 landmarks known" in started.stderr
    weights = load_checkpoint(run / "last.pt")["weights"]
    assert all(torch.equal(weights["start.content"][i], given["start.content"][j]) for i, j in KNOWN.items())
    assert torch.equal(weights["backbone.features.conv1.0.weight"], given["backbone.features.conv1.0.weight"])
    assert 0.2 < weights["mean_shape"][0, 0] < 0.4 < weights["mean_shape"][1, 0] < 0.8  # of the tiny faces
    assert OmegaConf.load(run / "config.yaml").train.init_checkpoint == str(file)
    assert continued.returncode == 0, continued.stderr
    repeated = load_checkpoint(again / "last.pt")["weights"]
    assert "known" not in continued.stderr
    assert all(torch.equal(weights[name], repeated[name]) for name in weights)
    assert absent.returncode == 2 and not other.exists()
    assert f"main.py: checkpoint {file} not found." in absent.stderr

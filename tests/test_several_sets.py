"""One model for several landmark sets: a trunk that they share, and each set's own model out of it."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.meaning import LandmarkMeaning
from datasets.landmarks.unit import LengthUnit
from datasets.loader import TrainSampler
from datasets.prepared.prepared import write_prepared
from models.landmarks.shared_trunk import SharedTrunk
from review_page.start import Wanted, open_session
from tasks.several_sets import SeveralMeanings, SeveralSetsTask
from tests.conftest import TINY_SET, tiny_case
from tests.support.run_scripts import Ended, run_scripts
from tests.support.small_detr import random_images, random_targets, small_detr
from tests.support.smoke_checkpoint import write_smoke_checkpoint
from util.checkpoints.checkpoint import load_checkpoint, load_model, read_checkpoint
from util.checkpoints.one_of_several import config_of_set, joined_config, split_name
from util.config import load_config

OTHER_SET = LandmarkSet("tiny3", TINY_SET.landmarks[:3], TINY_SET.abbreviations[:3], pairs=((0, 1),))
SMOKE = "configs/smoke.py"


@pytest.fixture(scope="module")
def other_prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of the five landmarks on other images, measured in percent of the image height."""
    folder = tmp_path_factory.mktemp("other") / "other"
    cases = [tiny_case(number) for number in range(11, 18)]
    cases = [replace(case, points=case.points[:3]) for case in cases]
    write_prepared(
        folder,
        {"train": cases[:4], "val": cases[4:5], "test": cases[5:]},
        landmark_set=OTHER_SET,
        labels="others",
        created_by="tests/test_several_sets.py",
        source_files={},
        unit=LengthUnit("image height"),
    )
    return folder


def small_trunk() -> SharedTrunk:
    return SharedTrunk({"five": small_detr(5), "three": small_detr(3)})


def test_all_but_what_is_a_landmarks_own_is_one_tensor():
    trunk = small_trunk()
    first, other = trunk.member("five"), trunk.member("three")
    theirs = dict(other.named_parameters())
    for name, parameter in first.named_parameters():
        assert (parameter is theirs[name]) == (name not in first.output_tensors), name
    assert not {id(buffer) for buffer in first.buffers()} & {id(buffer) for buffer in other.buffers()}


def test_a_member_alone_is_the_model_that_it_was():
    """Sharing changes where weights are kept and nothing of what a model makes of them."""
    alone = small_detr(5).eval()
    member = SharedTrunk({"five": small_detr(5), "three": small_detr(3)}).eval()
    images = random_images(2)
    with torch.inference_mode():
        assert torch.equal(member(images, None, "five").final.points, alone(images).final.points)


def test_a_step_on_one_set_leaves_the_others_landmarks_and_statistics():
    trunk = small_trunk()
    optimizer = torch.optim.AdamW(trunk.parameters(), lr=0.1, weight_decay=0.1)
    kept = copy.deepcopy(trunk.member("three").state_dict())
    outputs = trunk(random_images(2), random_targets(2), "five")
    torch.stack([stage.points.square().sum() for stage in outputs.predictions]).sum().backward()
    optimizer.step()
    now = trunk.member("three").state_dict()
    own = {*trunk.member("three").output_tensors, *dict(trunk.member("three").named_buffers())}
    assert all(torch.equal(now[name], kept[name]) for name in own & now.keys())
    assert not torch.equal(now["stem.layers.0.weight"], kept["stem.layers.0.weight"])


def test_a_copy_shares_as_the_original_does():
    """The moving average is one."""
    copied = copy.deepcopy(small_trunk())
    first, other = copied.member("five"), copied.member("three")
    assert first.get_parameter("stem.layers.0.weight") is other.get_parameter("stem.layers.0.weight")


def test_models_that_are_not_alike_share_nothing():
    with pytest.raises(ValueError, match="one architecture"):
        SharedTrunk({"five": small_detr(5), "three": small_detr(3, name="resnet14t")})


def test_each_part_is_the_stream_that_it_would_be_alone():
    """Batches of one part each, in turn."""
    both = TrainSampler((7, 3), 2, seed=4)
    alone = TrainSampler(7, 2, seed=4), TrainSampler(3, 2, seed=4)
    for turn in range(6):
        assert both.batch(2 * turn) == alone[0].batch(turn)
        assert both.batch(2 * turn + 1) == [(7 + index, draw) for index, draw in alone[1].batch(turn)]


def smoke(folder: str, *overrides: str) -> Any:
    return load_config(SMOKE, [f"data.folder={folder}", *overrides])


def test_what_was_joined_comes_apart_again():
    configs = {"a": smoke("one"), "b.2": smoke("two", "size=[64,96]", "model.roi_windows=[0.1,0.05]")}
    joined = joined_config(configs)
    for name, cfg in configs.items():
        apart = config_of_set(joined, name)
        sections = ("task", "model", "train_transforms", "eval_transforms", "criterion", "optimizer", "data")
        assert all(apart[section] == cfg[section] for section in sections)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("optimizer.lr=0.5",), r"optimizer\.lr differs between a and b"),
        (("task._target_=tasks.masks:MaskTask",), "expected landmarks"),
    ],
)
def test_what_one_training_has_once_must_agree(overrides, message):
    with pytest.raises(ValueError, match=message):
        joined_config({"a": smoke("one"), "b": smoke("two", *overrides)})


def test_a_set_is_named_behind_the_file():
    assert split_name("runs/a/best.pt:spine-68") == (Path("runs/a/best.pt"), "spine-68")
    assert split_name("w.safetensors:cl.38") == (Path("w.safetensors"), "cl.38")
    for plain in ("runs/a/best.pt", "runs/a:b/best.pt", "model.onnx"):
        assert split_name(plain) == (Path(plain), None)


@pytest.fixture(scope="module")
def ended(
    tiny_prepared: Path, other_prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Ended]]:
    """A run folder, and how each script ended there."""
    folder = tmp_path_factory.mktemp("several")
    for name, prepared, size in (("five", tiny_prepared, (96, 96)), ("three", other_prepared, (64, 96))):
        (folder / f"{name}.py").write_text(
            "from configs.smoke import criterion, data, embed_dim, eval_transforms, model, optimizer, task\n"
            "from configs.smoke import train, train_transforms\n"
            f"size = {size}\ndata.update(folder={str(prepared)!r})\n"
        )
    both = ("--config-file", folder / "five.py", "--config-file", folder / "three.py")
    whole, again = folder / "whole", folder / "again"
    best, now = whole / "best.pt", "train.save_minutes=0"
    images = ("--input", tiny_prepared / "images")
    on = ("--config-file", whole / "config.yaml", "--resume-from-checkpoint", whole / "last.previous.pt")
    half = folder / "five.safetensors"
    found = run_scripts(
        [
            ("main.py", *both, now, f"train.output_dir={whole}"),
            ("main.py", *on, f"train.output_dir={again}"),
            ("test.py", "--checkpoint", f"{best}:tiny3", "--json", folder / "three.json", "--workers", 0),
            ("inference.py", "--checkpoint", f"{best}:tiny5", "--output", folder / "found.json", *images),
            ("tools/pytorch2onnx.py", "--checkpoint", f"{best}:tiny3", "--output", folder / "three.onnx"),
            ("tools/export_weights.py", "--checkpoint", f"{best}:tiny5", "--output", half),
            ("test.py", "--checkpoint", best),
            ("inference.py", "--checkpoint", f"{best}:tiny4", *images),
            ("test.py", "--checkpoint", f"{half}:tiny5"),
            ("main.py", *both[:2], *both[:2], f"train.output_dir={folder / 'twice'}"),
        ]
    )
    return folder, found


def test_every_script_takes_one_set_as_a_model_of_its_own(ended: tuple[Path, list[Ended]]):
    folder, found = ended
    for one in found[:6]:
        assert one.returncode == 0, one.stderr
    assert "MRE tiny5" in found[0].stdout and "MRE tiny3" in found[0].stdout
    measured = json.loads((folder / "three.json").read_text())
    assert measured["unit"] == "% of the image height" and measured["num_landmarks"] == 3
    assert len(json.loads((folder / "found.json").read_text())["images"][0]["landmarks"]) == 5
    five = load_model(folder / "five.safetensors")
    assert five.meaning.landmark_set == TINY_SET and five.config.eval_transforms.size == [96, 96]


def test_the_review_page_takes_one_too(ended: tuple[Path, list[Ended]], tiny_prepared: Path, tmp_path: Path):
    file = Path(f"{ended[0] / 'whole' / 'best.pt'}:tiny3")
    asked = Wanted([tiny_prepared / "images"], tmp_path / "review", checkpoint=file, device="cpu")
    for _ in range(2):  # the second time the model is told by what is kept
        with open_session(asked, lambda _set, _model: None) as opened:
            assert opened.session.landmark_set.name == "tiny3"
    with (
        pytest.raises(ValueError, match="its predictions are of .*:tiny3, not of .*:tiny5"),
        open_session(replace(asked, checkpoint=file.with_name("best.pt:tiny5")), lambda _set, _model: None),
    ):
        pass


def test_a_run_goes_on_where_it_was(ended: tuple[Path, list[Ended]]):
    folder, _ = ended
    one, other = (read_checkpoint(folder / run / "last.pt")["weights"] for run in ("whole", "again"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_file_holds_the_trunk_once(ended: tuple[Path, list[Ended]]):
    folder, _ = ended
    weights = read_checkpoint(folder / "whole" / "best.pt")["weights"]
    kept = {tensor.untyped_storage().data_ptr() for tensor in weights.values()}
    alone = load_checkpoint(f"{folder / 'whole' / 'best.pt'}:tiny5")["weights"]
    assert len(kept) < 1.6 * len(alone) < len(weights)


def test_what_cannot_be_meant_is_said_in_a_sentence(ended: tuple[Path, list[Ended]]):
    _, found = ended
    expected = (
        "a model of the landmark sets ['tiny5', 'tiny3'], expected one",
        "no landmark set 'tiny4'; did you mean 'tiny",
        "a model of a single landmark set",
        "landmark set 'tiny5', which",
    )
    for one, message in zip(found[6:], expected, strict=True):
        assert one.returncode != 0 and message in one.stderr and "Traceback" not in one.stderr, one.stderr


def test_every_member_starts_from_a_model_of_one_set(tmp_path: Path):
    """Its landmarks by name, the trunk for all."""
    task = SeveralSetsTask()
    meaning = SeveralMeanings({one.name: LandmarkMeaning(one, "any") for one in (TINY_SET, OTHER_SET)})
    model = task.build_model({name: smoke("any").model for name in meaning.sets}, meaning)
    file = write_smoke_checkpoint(tmp_path / "old.pt", TINY_SET)
    told = task.take_foreign_weights(model, file, meaning)
    given, three = load_checkpoint(file)["weights"], model.member("tiny3").state_dict()
    assert torch.equal(three["start.content"], given["start.content"][:3])
    assert torch.equal(three["stem.layers.0.weight"], given["stem.layers.0.weight"])
    assert "tiny5: " in told and "3 of 3 landmarks known" in told

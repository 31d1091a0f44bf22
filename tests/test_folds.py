"""Folds: every image of train and val is held out exactly once, and the test images never move."""

import json
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from datasets.prepared.prepared import PreparedDataset
from datasets.prepared.splits import Fold
from tasks.landmarks import LandmarkTask
from tests.support.run_tool import run_tool
from util.checkpoints.checkpoint import load_checkpoint
from util.config import load_config
from util.training.run_folder import load_resumable

NAMES = [f"{number:03d}" for number in range(1, 24)]


@pytest.mark.parametrize("count", [2, 5, 23])
def test_every_name_is_validated_once_and_trained_on_otherwise(count):
    splits = [Fold(number, count).split(NAMES, seed=7) for number in range(1, count + 1)]
    assert sorted(name for split in splits for name in split["val"]) == NAMES
    for split in splits:
        assert sorted(split["train"] + split["val"]) == NAMES
        assert len(NAMES) // count <= len(split["val"]) <= len(NAMES) // count + 1


def test_the_deal_follows_from_the_seed_alone():
    fold = Fold(2, 5)
    assert fold.split(NAMES, seed=7) == fold.split(NAMES[::-1], seed=7) != fold.split(NAMES, seed=8)


@pytest.mark.parametrize("text", ["0/5", "6/5", "1/1", "1/0", "-1/5", "1", "1/", "a/b", "1/5/2", "1.5/5", ""])
def test_folds_that_make_no_sense_are_refused(text):
    with pytest.raises(ValueError, match=f"fold '{text}', expected NUMBER/COUNT such as 1/5"):
        Fold.parse(text)


def test_more_folds_than_images_are_refused():
    with pytest.raises(ValueError, match="fold 1/24: 23 images cannot be dealt into 24 folds"):
        Fold.parse("1/24").split(NAMES, seed=0)


def test_a_fold_of_prepared_data(tiny_prepared):
    """train has tiny1 to tiny3, val tiny4; the numbers of a case stay with its image."""
    whole = {
        case: PreparedDataset(tiny_prepared, "train").load(i) for i, case in enumerate(("tiny1", "tiny2"))
    }
    held_out = []
    for number in (1, 2):
        train, val = (PreparedDataset(tiny_prepared, f"{part}@{number}/2") for part in ("train", "val"))
        assert val.subset == f"val@{number}/2"
        assert len(train) == len(val) == 2
        assert sorted(train.cases + val.cases) == ["tiny1", "tiny2", "tiny3", "tiny4"]
        held_out += val.cases
        for index, case in enumerate(train.cases):
            sample = train.load(index)
            assert sample.case == case
            if case in whole:
                assert (sample.image == whole[case].image).all()
                assert torch.equal(
                    *(torch.from_numpy(one.points).nan_to_num() for one in (sample, whole[case]))
                )
    assert len(set(held_out)) == 4


def test_the_deal_uses_the_seed_of_the_data(tiny_prepared, tmp_path):
    def deal(seed: int | None) -> list[tuple[str, ...]]:
        header = json.loads((copy / "dataset.json").read_text())
        (copy / "dataset.json").write_text(json.dumps({**header, "seed": seed}))
        return [PreparedDataset(copy, f"val@{number}/4").cases for number in range(1, 5)]

    copy = tmp_path / "copy"
    shutil.copytree(tiny_prepared, copy)
    assert deal(0) == deal(None)
    assert any(deal(seed) != deal(0) for seed in range(1, 6))


def test_a_few_images_are_part_of_a_few_more(tiny_prepared):
    """Drawn, not the first ones; the same ones each time; of a fold as well."""
    whole = PreparedDataset(tiny_prepared, "train").cases
    draws = [PreparedDataset(tiny_prepared, f"train:{count}").cases for count in range(1, len(whole) + 1)]
    assert [len(draw) for draw in draws] == list(range(1, len(whole) + 1)) and draws[-1] == whole
    assert all(set(few) < set(more) for few, more in pairwise(draws))
    assert any(draw != whole[: len(draw)] for draw in draws)
    assert set(PreparedDataset(tiny_prepared, "train@1/2:1").cases) < set(
        PreparedDataset(tiny_prepared, "train@1/2").cases
    )


@pytest.mark.parametrize("count", ["0", "1000", "-1", "few", ""])
def test_a_count_that_makes_no_sense_is_refused(tiny_prepared, count):
    with pytest.raises(ValueError, match=f"subset 'train:{count}': expected a number of images from 1 to"):
        PreparedDataset(tiny_prepared, f"train:{count}")


def test_there_is_no_fold_of_the_test_images(tiny_prepared):
    with pytest.raises(ValueError, match=r"subset 'test@1/2': only train and val have folds"):
        PreparedDataset(tiny_prepared, "test@1/2")
    with pytest.raises(ValueError, match="4 images cannot be dealt into 5 folds"):
        PreparedDataset(tiny_prepared, "val@1/5")


def train(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_tool("main.py", *arguments)


@pytest.fixture(scope="module")
def run(tiny_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of fold 2 of 2."""
    output = tmp_path_factory.mktemp("fold") / "run"
    config = ("--config-file", "tests/support/tiny_config.py", f"data.folder={tiny_prepared}")
    done = train(*config, f"train.output_dir={output}", "--fold", "2/2")
    assert done.returncode == 0, done.stderr
    assert not output.exists() and "Best on 'val@2/2'" in done.stdout
    return output.with_name("run_fold2of2")


def test_a_run_with_a_fold_says_so_and_validates_on_it(run: Path):
    saved = load_config(run / "config.yaml")
    assert (saved.data.train, saved.data.val) == ("train@2/2", "val@2/2")
    assert saved.train.output_dir == str(run)
    assert load_checkpoint(run / "best.pt")["metrics"]["num_images"] == 2


def test_a_run_with_a_fold_continues_exactly(run: Path):
    """From the middle, by its own config and with the flag given once more: the same bits, one suffix."""
    again = run.with_name("again")
    middle = run / "last.previous.pt"
    options = ("--config-file", run / "config.yaml", "--resume-from-checkpoint", middle, "--fold", "2/2")
    done = train(*options, f"train.output_dir={again}_fold2of2")
    assert done.returncode == 0, done.stderr
    one, other = (load_checkpoint(folder / "last.pt") for folder in (run, again.with_name("again_fold2of2")))
    assert load_checkpoint(middle)["iteration"] == 3 and one["iteration"] == other["iteration"] == 4
    assert all(torch.equal(one["weights"][name], other["weights"][name]) for name in one["weights"])


def test_a_run_cannot_continue_on_another_fold(run: Path):
    cfg = load_config(run / "config.yaml", ["data.train=train@1/2", "data.val=val@1/2"])
    with pytest.raises(ValueError, match="data.train was 'train@2/2', is 'train@1/2'"):
        load_resumable(run, cfg, LandmarkTask(), PreparedDataset(cfg.data.folder, "train"))

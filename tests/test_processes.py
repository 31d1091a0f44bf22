"""Several processes compute what one does: the same gradients, the same evaluation, no case counted twice."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from timm.layers import BatchNormAct2d  # pyright: ignore[reportPrivateImportUsage]
from torch import nn

from datasets.prepared.prepared import write_prepared
from models.backbone import TimmBackbone
from models.boxes.masked import ValidBatchNorm
from models.boxes.second_neck import SecondNeck
from tests.conftest import TINY_SET, tiny_case
from tests.support.rank_jobs import continued, decisions, evaluation, gradients, run_ranks, with_shipped_norm
from tests.support.small_detr import small_detr
from util.training.ranks import own_statistics, synchronised
from util.training.trainer import Trainer

# float32 sums over 2 x 2 images instead of 1 x 4, relative to the largest entry of a tensor's gradient
GRADIENT_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def gradients_of_one(tiny_prepared, tmp_path_factory):
    (alone,) = run_ranks(gradients, 1, tmp_path_factory.mktemp("one") / "ranks", tiny_prepared, 4, 2)
    return alone


def test_two_processes_give_the_gradients_of_one_with_the_same_batch(
    tiny_prepared, gradients_of_one, tmp_path
):
    """One landmark is missing in one process's share, so a mean of means would be off; it must not be."""
    ranks = run_ranks(gradients, 2, tmp_path / "ranks", tiny_prepared, 4, 2)
    for together in ranks:
        for mine, theirs in zip(gradients_of_one["gradients"], together["gradients"], strict=True):
            assert mine.keys() == theirs.keys()
            for name, gradient in mine.items():
                difference = (theirs[name] - gradient).abs().max()
                assert difference <= GRADIENT_TOLERANCE * gradient.abs().max(), name
    assert all(torch.equal(value, ranks[1]["weights"][name]) for name, value in ranks[0]["weights"].items())


@pytest.mark.parametrize(("count", "cases"), [(2, 5), (3, 5), (3, 2)])
def test_processes_evaluate_to_the_bit_what_one_does(tmp_path, count, cases):
    """5 cases in batches of 2 for 2 and for 3 processes; and fewer batches than processes."""
    prepared = tmp_path / "data"
    numbers = range(10, 10 + cases)
    splits = {"test": (tiny_case(number) for number in numbers)}
    about = {"labels": "synthetic", "created_by": "test", "source_files": {}, "seed": 0}
    write_prepared(prepared, splits, landmark_set=TINY_SET, **about)
    (alone,) = run_ranks(evaluation, 1, tmp_path / "one", prepared, 2)
    ranks = run_ranks(evaluation, count, tmp_path / "several", prepared, 2)
    assert alone["cases"] == tuple(f"tiny{number}" for number in numbers)
    assert sorted(case for rank in ranks for case in rank["own"]) == sorted(alone["cases"])
    for rank in ranks:
        assert rank["cases"] == alone["cases"]
        assert np.array_equal(rank["predicted"], alone["predicted"])
        assert np.array_equal(rank["radial"], alone["radial"], equal_nan=True)
    assert np.ptp(alone["predicted"], axis=0).min() > 0  # predictions that depend on the image


def test_statistics_of_the_shipped_norm_are_those_of_all_images(tiny_prepared, tmp_path):
    """Running means of the first layer: those of one process, not of the images of the first of two."""
    (alone,) = run_ranks(with_shipped_norm, 1, tmp_path / "one", tiny_prepared)
    ranks = run_ranks(with_shipped_norm, 2, tmp_path / "two", tiny_prepared)
    for name, value in ranks[0].items():
        assert torch.equal(value, ranks[1][name]), name
    first = next(name for name in alone if name.endswith("running_mean"))
    torch.testing.assert_close(ranks[0][first], alone[first], rtol=1e-4, atol=1e-6)


def test_several_processes_continue_to_the_bit(tiny_prepared, tmp_path):
    """Also with batches added up, and with a loss that joins half way."""
    whole = run_ranks(continued, 2, tmp_path / "whole", tiny_prepared, 9)
    parts = run_ranks(continued, 2, tmp_path / "parts", tiny_prepared, 2)
    for one, other in zip(whole, parts, strict=True):
        assert one["model"].keys() == other["model"].keys()
        for part in ("model", "average"):
            assert all(torch.equal(value, other[part][name]) for name, value in one[part].items())
        assert str(one["optimizer"]) == str(other["optimizer"])
    assert all(torch.equal(value, whole[1]["model"][name]) for name, value in whole[0]["model"].items())


def test_gpus_share_the_statistics_of_every_batch_norm():
    """timm's layers keep the activation that is part of them."""
    model = nn.Sequential(small_detr().backbone, BatchNormAct2d(4), nn.BatchNorm1d(4)).eval()
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    before, parameters = model[0](image), list(model.parameters())
    gpus: Any = SimpleNamespace(num_processes=2, device=torch.device("cuda", 0))
    shared = synchronised(model, gpus)
    layers = [layer for layer in shared.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    assert layers and all(isinstance(layer, nn.SyncBatchNorm) for layer in layers)
    assert all(map(torch.equal, before, shared.get_submodule("0")(image)))
    assert [id(one) for one in shared.parameters()] == [id(one) for one in parameters]
    assert isinstance(shared.get_submodule("1").act, nn.ReLU) and not own_statistics(shared)
    alone: Any = SimpleNamespace(num_processes=1, device=torch.device("cuda", 0))
    assert len(own_statistics(synchronised(small_detr(), alone))) > 10


def test_gpus_leave_norms_that_are_told_what_images_cover():
    """Those of a detector's second neck; torch's synchronised one takes nothing but its maps."""
    gpus: Any = SimpleNamespace(num_processes=2, device=torch.device("cuda", 0))
    neck = synchronised(SecondNeck(16, 2, fold_norms=True), gpus).train()
    maps = neck([torch.rand(1, 16, 4, 4), torch.rand(1, 16, 2, 2)], None)
    assert [tuple(m.shape) for m in maps] == [(1, 16, 4, 4), (1, 16, 2, 2)]
    assert len(own_statistics(neck)) == 2 * len([m for m in neck.modules() if isinstance(m, ValidBatchNorm)])


def test_gpus_leave_a_frozen_norm_frozen():
    gpus: Any = SimpleNamespace(num_processes=2, device=torch.device("cuda", 0))
    backbone = synchronised(TimmBackbone("resnet10t", frozen=["bn1"]), gpus).train()
    assert not backbone.get_submodule("features.bn1").training
    assert backbone.get_submodule("features.layer1.0.bn1").training


def test_the_only_annotation_of_all_processes_counts_whole():
    two = SimpleNamespace(num_processes=2, device="cpu", reduce=lambda tensor, how: tensor / 2)  # 0 elsewhere
    trainer: Any = SimpleNamespace(accelerator=two, task=SimpleNamespace(weight=lambda batch: batch))
    batch: Any = 1.0
    assert Trainer._shares(trainer, [batch]) == [2.0]  # the processes' gradients are averaged


def test_the_first_process_decides_for_all(tmp_path):
    """Such as which checkpoint is the newest, on a disk that shows each process something else."""
    assert run_ranks(decisions, 2, tmp_path / "ranks") == [["file of 0", "refused by 0"]] * 2

"""Several processes compute what one does: the same gradients, the same evaluation, no case counted twice."""

import numpy as np
import pytest
import torch

from datasets.prepared.prepared import write_prepared
from tests.conftest import TINY_SET, tiny_case
from tests.support.rank_jobs import decisions, evaluation, gradients, run_ranks

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


def test_the_first_process_decides_for_all(tmp_path):
    """Such as which checkpoint is the newest, on a disk that shows each process something else."""
    assert run_ranks(decisions, 2, tmp_path / "ranks") == [["file of 0", "refused by 0"]] * 2

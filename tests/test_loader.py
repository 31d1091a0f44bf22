"""Batches: each case once a draw, the same from any start and over any number of processes."""

import numpy as np
import pytest
import torch

from datasets.landmarks.batch import collate
from datasets.loader import TrainSampler, eval_loader, train_loader
from datasets.prepared.prepared import PreparedDataset, require_spacing
from tests.support.tiny import TinyTransforms


def take(sampler, count):
    return [sampler.batch(number) for number in range(count)]


@pytest.mark.parametrize(("cases", "batch_size"), [(7, 3), (3, 8), (5, 5), (1, 2)])
def test_every_case_comes_once_a_draw(cases, batch_size):
    keys = [key for batch in take(TrainSampler(cases, batch_size, seed=1), 4 * cases) for key in batch]
    draws = len(keys) // cases
    expected = {(index, draw) for index in range(cases) for draw in range(draws)}
    assert len(set(keys)) == len(keys) and expected == set(keys[: draws * cases])


def test_order_changes_with_draw_and_seed():
    first, second = take(TrainSampler(50, 50, seed=1), 2)
    other = TrainSampler(50, 50, seed=2).batch(0)
    assert [i for i, _ in first] != [i for i, _ in second]
    assert first != other


def test_starting_late_is_skipping():
    whole, late = iter(TrainSampler(7, 3, seed=1)), iter(TrainSampler(7, 3, seed=1, first_batch=4))
    skipped = [next(whole) for _ in range(9)][4:]
    assert [next(late) for _ in range(5)] == skipped


def test_ranks_share_the_batch_of_one_process():
    whole = TrainSampler(7, 4, seed=3)
    ranks = [TrainSampler(7, 4, seed=3, rank=rank, num_ranks=2) for rank in range(2)]
    for number in range(5):
        assert ranks[0].batch(number) + ranks[1].batch(number) == whole.batch(number)


def test_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match=r"batch_size=5 cannot be split over 2"):
        TrainSampler(7, 5, seed=0, num_ranks=2)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_do_not_depend_on_workers(tiny_prepared, workers):
    dataset = PreparedDataset(tiny_prepared, "train", TinyTransforms(size=(24, 20), shift=3.0), seed=5)
    sampler = TrainSampler(len(dataset), 2, seed=5, first_batch=1)
    loaded = iter(train_loader(dataset, sampler, workers, collate=collate))
    for number in (1, 2):
        batch = next(loaded)
        samples = [dataset[key] for key in sampler.batch(number)]
        assert batch.cases == tuple(sample.case for sample in samples)
        assert np.array_equal(batch.images[0, 0].numpy(), samples[0].image)
        points = torch.from_numpy(np.stack([sample.points for sample in samples]) / (20, 24)).float()
        assert torch.equal(batch.points.nan_to_num(-1), points.nan_to_num(-1))


def test_augmentation_differs_between_draws(tiny_prepared):
    dataset = PreparedDataset(tiny_prepared, "train", TinyTransforms(size=(24, 20), shift=3.0), seed=5)
    assert not np.array_equal(dataset[0, 0].to_source, dataset[0, 1].to_source)
    assert np.array_equal(dataset[0, 1].to_source, dataset[0, 1].to_source)


@pytest.mark.parametrize("num_ranks", [1, 2, 4])
def test_evaluation_counts_every_case_once(tiny_prepared, num_ranks):
    dataset = PreparedDataset(tiny_prepared, "train", TinyTransforms(size=(24, 20)))
    shares = [
        eval_loader(dataset, 2, 0, collate=collate, rank=rank, num_ranks=num_ranks)
        for rank in range(num_ranks)
    ]
    seen = [case for share in shares for batch in share for case in batch.cases]
    assert tuple(seen) == dataset.cases


def test_unknown_spacing_is_refused_before_training(tiny_prepared):
    dataset = PreparedDataset(tiny_prepared, "train", TinyTransforms(size=(24, 20)))
    require_spacing(dataset)
    dataset.spacings[1][:] = np.nan
    with pytest.raises(ValueError, match=r"case 'tiny2' of 'train' has spacing \[nan, nan\]"):
        require_spacing(dataset)


@pytest.mark.parametrize("there", [True, False])
def test_batches_wait_in_pinned_memory_where_a_gpu_fetches_them(tiny_prepared, there, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    dataset = PreparedDataset(tiny_prepared, "train", TinyTransforms(size=(24, 20)))
    training = train_loader(dataset, TrainSampler(len(dataset), 4, seed=0), 0, collate=collate)
    evaluation = eval_loader(dataset, 4, 0, collate=collate)
    assert training.pin_memory is evaluation.pin_memory is there
